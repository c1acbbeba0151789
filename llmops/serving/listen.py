"""Whether the place to listen at is free, and who holds it when it is not.

vLLM binds its port with SO_REUSEPORT, so two servers would share one silently: it is checked
before the start. Between the check and the start another process can still take it; then vLLM's
own error is what the user sees.
"""

import contextlib
import os
import socket
from pathlib import Path

from llmops.errors import BadInput

HOST = "127.0.0.1"
_LONGEST_SOCKET_PATH = 107  # bytes; sun_path of Linux, without its final NUL
_LISTENING = "0A"


def claim_port(port: int) -> int:
    """The port itself when it is free; any free one for 0. Raises BadInput when it is in use."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except PermissionError:
            raise BadInput(f"port {port} needs privileges", fix="use one above 1023") from None
        except OSError:
            who = holder(port)
            raise BadInput(
                f"port {port} is in use" + (f" by {who}" if who else ""),
                fix="stop that, or choose another one: --port N (0: any free one)",
            ) from None
        return int(probe.getsockname()[1])


def claim_socket(path: Path) -> None:
    """Make way for a Unix socket: a stale one is removed. Raises BadInput when it is in use."""
    if len(os.fsencode(path)) > _LONGEST_SOCKET_PATH:
        raise BadInput(
            f"the path of the Unix socket is longer than {_LONGEST_SOCKET_PATH} bytes: {path}",
            fix="set listen.uds to a shorter one",
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        return
    if not path.is_socket():
        raise BadInput(f"{path} exists and is no socket", fix="set listen.uds to another path")
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            path.unlink(missing_ok=True)
            return
    raise BadInput(f"the socket {path} is in use", fix="stop that, or set listen.uds to another")


def holder(port: int) -> str:
    """`process N (its command)` that listens on a port; empty where it cannot be found out."""
    inodes = _listening_inodes(port)
    for folder in Path("/proc").glob("[0-9]*") if inodes else ():
        with contextlib.suppress(OSError):
            for link in (folder / "fd").iterdir():
                if os.readlink(link) in inodes:
                    command = (folder / "cmdline").read_bytes().replace(b"\0", b" ")
                    shown = command.decode(errors="replace").strip()
                    return f"process {folder.name} ({shown[:80]})"
    return ""


def _listening_inodes(port: int) -> set[str]:
    """The sockets that listen on a TCP port, as /proc/PID/fd names them."""
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                fields = line.split()
                local, state, inode = fields[1], fields[3], fields[9]
                if state == _LISTENING and int(local.rpartition(":")[2], 16) == port:
                    found.add(f"socket:[{inode}]")
    return found
