#!/usr/bin/env bash
# Installs the system packages that some tests need and that are absent, through apt-get where it
# may; where it may not, those tests skip and say why.
#   tests/system.sh
set -uo pipefail

missing=()
command -v strace >/dev/null || missing+=(strace)
command -v curl >/dev/null || missing+=(curl)
command -v chromium >/dev/null || missing+=(chromium)
[ -d /usr/share/fonts/opentype/inter ] || missing+=(fonts-inter)  # for the screenshots
compgen -G "/usr/lib/postgresql/*/bin/initdb" >/dev/null || missing+=(postgresql)
[ ${#missing[@]} -eq 0 ] && exit 0

if ! command -v apt-get >/dev/null; then
  echo "absent: ${missing[*]}; their tests will be skipped (there is no apt-get here)"
  exit 0
fi
as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! sudo -n true 2>/dev/null; then
    echo "absent: ${missing[*]}; their tests will be skipped (apt-get needs root)"
    exit 0
  fi
  as_root=(sudo -n)
fi
export DEBIAN_FRONTEND=noninteractive
echo "installing for the tests: ${missing[*]}"
# Debian starts a cluster of its own after installing PostgreSQL; the tests want the binaries only.
"${as_root[@]}" mkdir -p /etc/postgresql-common
[ -e /etc/postgresql-common/createcluster.conf ] ||
  echo "create_main_cluster = false" | "${as_root[@]}" tee /etc/postgresql-common/createcluster.conf >/dev/null
"${as_root[@]}" apt-get -qq update &&
  "${as_root[@]}" apt-get -qq install -y --no-install-recommends "${missing[@]}" >/dev/null ||
  echo "apt-get could not install them; their tests will be skipped"
exit 0
