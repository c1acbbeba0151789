"""Installing for real: venv, pip and the network, with a lock of two small packages.

One of them is LLaMA-Factory itself, without what it needs to run, so that a test takes seconds.
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from llmops.environments.environment import find, installed
from llmops.environments.install import install
from llmops.environments.lock import Lock, lock_for
from llmops.environments.progress import Step
from llmops.errors import BadInput, Failed
from llmops.spec.settings import Settings, load_settings
from llmops.store.cache_paths import CachePaths

pytestmark = pytest.mark.engine

SMALL = "llamafactory==0.9.5\nsix==1.16.0\n"
LLMOPS = [sys.executable, "-m", "llmops"]


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A project whose LLaMA-Factory comes from a small lock, with a cache of its own."""
    monkeypatch.setenv("LLMOPS_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "llmops.toml").write_text('[engines.llamafactory]\nlock = "lock.txt"\n')
    (tmp_path / "lock.txt").write_text(SMALL)
    return load_settings(tmp_path)


@pytest.fixture
def lock(settings: Settings) -> Lock:
    return lock_for("llamafactory", settings)


@pytest.fixture
def cache(settings: Settings) -> CachePaths:
    return CachePaths(settings.cache)


def ignore(step: Step) -> None:
    pass


def started(phase: str) -> "subprocess.Popen[str]":
    """`llmops engines install llamafactory`, once it has said that it is in `phase`."""
    process = subprocess.Popen(
        [*LLMOPS, "engines", "install", "llamafactory"],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if phase in line:
            return process
    raise AssertionError(f"it ended with {process.wait()} before {phase}")


def test_environment_works_where_it_was_moved_to(lock: Lock, cache: CachePaths) -> None:
    built = install(lock, cache, ignore)
    show = "import sys, six; print(sys.prefix, six.__version__)"
    done = subprocess.run(
        [str(built.environment.python), "-c", show], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [str(built.root), "1.16.0"]
    assert (built.environment.site / "six.py").is_file()


def test_nothing_in_it_names_the_place_where_it_was_built(lock: Lock, cache: CachePaths) -> None:
    root = install(lock, cache, ignore).root
    assert f"{root}/bin/python" in (root / "bin" / "llamafactory-cli").read_text()
    texts = [root / "pyvenv.cfg", *(p for p in (root / "bin").iterdir() if not p.is_symlink())]
    assert all(b".building-" not in path.read_bytes() for path in texts)


def test_second_install_finds_it_complete(lock: Lock, cache: CachePaths) -> None:
    steps: list[Step] = []
    first = install(lock, cache, ignore)
    assert install(lock, cache, steps.append) == first
    assert steps == []


def test_version_comes_from_the_metadata(settings: Settings, lock: Lock, cache: CachePaths) -> None:
    install(lock, cache, ignore)
    found = find("llamafactory", settings)
    assert (found.version, found.own) == ("0.9.5", False)


def test_own_python_may_be_one_that_llmops_built(
    settings: Settings, lock: Lock, cache: CachePaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = install(lock, cache, ignore).environment
    monkeypatch.setenv("LLMOPS_ENGINES_LLAMAFACTORY_PYTHON", str(built.python))
    found = find("llamafactory", load_settings())
    assert (found.own, found.version, found.site) == (True, built.version, built.site)


def test_two_installs_at_once_build_it_once(lock: Lock, cache: CachePaths) -> None:
    first = started("downloading")
    second = started("waiting")
    said = [process.communicate(timeout=60)[1] for process in (first, second)]
    assert (first.returncode, second.returncode) == (0, 0)
    assert "installing" in said[0]
    assert "preparing" not in said[1]
    assert installed(lock.key, cache) is not None


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_install_leaves_nothing(lock: Lock, cache: CachePaths, sign: int) -> None:
    process = started("downloading")
    os.killpg(process.pid, sign)
    assert "interrupted" in process.communicate(timeout=30)[1]
    assert process.returncode == 130
    assert [path for path in cache.environments.iterdir() if path.is_dir()] == []


def test_install_after_a_kill_starts_over(lock: Lock, cache: CachePaths) -> None:
    process = started("downloading")
    process.kill()
    process.communicate()
    assert installed(lock.key, cache) is None
    assert cache.building(lock.key).is_dir()
    left = cache.building(lock.key) / "left"
    left.write_text("by the killed one")
    assert not (install(lock, cache, ignore).root / "left").exists()
    assert not cache.building(lock.key).exists()


def test_environment_that_cannot_import_is_refused(settings: Settings, cache: CachePaths) -> None:
    (settings.root / "lock.txt").write_text("llamafactory==0.9.5\npeft==0.18.1\n")
    lock = lock_for("llamafactory", settings)
    with pytest.raises(Failed, match=r"does not work:(.|\n)*No module named") as caught:
        install(lock, cache, ignore)
    assert "does not hold all" in caught.value.fix
    assert installed(lock.key, cache) is None
    assert not cache.building(lock.key).exists()


def test_environment_whose_python_is_gone_is_built_again(
    settings: Settings, lock: Lock, cache: CachePaths
) -> None:
    python = install(lock, cache, ignore).environment.python
    python.unlink()
    python.symlink_to("/nowhere/python3")
    with pytest.raises(BadInput, match="that it links to is gone"):
        find("llamafactory", settings)
    assert not install(lock, cache, ignore).broken


def test_remove_asks_and_then_removes(lock: Lock, cache: CachePaths) -> None:
    root = install(lock, cache, ignore).root
    remove = [*LLMOPS, "engines", "remove", "llamafactory"]
    refused = subprocess.run(remove, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert (refused.returncode, root.exists()) == (2, True)
    assert "--yes" in refused.stderr
    subprocess.run([*remove, "--yes"], check=True, capture_output=True)
    assert [path for path in cache.environments.iterdir() if path.is_dir()] == []


def test_list_shows_it(lock: Lock, cache: CachePaths) -> None:
    built = install(lock, cache, ignore)
    done = subprocess.run(
        [*LLMOPS, "engines", "list", "--json"], capture_output=True, text=True, check=True
    )
    line = json.loads(done.stdout)[0]
    assert (line["state"], line["where"]) == ("installed", str(built.root))
    assert line["size"] > 100_000
