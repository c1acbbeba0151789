"""Locks, and finding the environment of an engine, without the network.

Installing for real is tests/engine/test_install.py.
"""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from llmops.environments.environment import find, listing, to_remove
from llmops.environments.hold import held
from llmops.environments.install import install
from llmops.environments.lock import DISTRIBUTIONS, lock_for, lock_version, shipped_lock
from llmops.environments.pip import run
from llmops.environments.progress import Step
from llmops.errors import BadInput, Failed
from llmops.spec.settings import (
    ENGINES,
    Device,
    EngineSettings,
    EnginesSettings,
    Settings,
    load_settings,
)
from llmops.store.cache_paths import CachePaths
from tests.conftest import Llmops
from tests.processes import end_of


def project(tmp_path: Path, lock: str | None = None, python: Path | None = None) -> Settings:
    """The settings of a project with its own lock, or its own python, for LLaMA-Factory."""
    if lock is not None:
        (tmp_path / "lock.txt").write_text(lock)
    own = EngineSettings(lock="lock.txt" if lock is not None else None, python=python)
    return Settings(
        root=tmp_path, cache=tmp_path / "cache", engines=EnginesSettings(llamafactory=own)
    )


def own_venv(tmp_path: Path, version: str = "0.9.5") -> tuple[Path, Path]:
    """A virtual environment that says it holds LLaMA-Factory: its python, its site-packages.

    The python is a script that counts its runs in `asked`.
    """
    root = tmp_path / "own"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(root)], check=True)
    site = next(root.glob("lib/python*/site-packages"))
    describe(site, version)
    python = root / "bin" / "counted"
    python.write_text(f'#!/bin/sh\necho >> {tmp_path}/asked\nexec {root}/bin/python "$@"\n')
    python.chmod(0o755)
    return python, site


def describe(site: Path, version: str) -> None:
    folder = site / f"llamafactory-{version}.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: llamafactory\nVersion: {version}\n"
    )


def asked(tmp_path: Path) -> int:
    return len((tmp_path / "asked").read_text().splitlines())


def ignore(step: Step) -> None:
    pass


@pytest.mark.parametrize("device", get_args(Device))
@pytest.mark.parametrize("engine", ENGINES)
def test_shipped_lock_pins_the_engine_that_its_name_says(engine: str, device: Device) -> None:
    lock = shipped_lock(engine, device)
    pins = [f"{name}=={lock.version}" for name in DISTRIBUTIONS[engine]]
    assert any(pin in lock.text.splitlines() for pin in pins)
    assert lock.name == f"{engine}-{lock.version}-{device}.txt"


@pytest.mark.parametrize("device", get_args(Device))
@pytest.mark.parametrize("engine", ENGINES)
def test_shipped_lock_pins_every_line_and_says_what_it_needs(engine: str, device: Device) -> None:
    lock = shipped_lock(engine, device)
    lines = [line for line in lock.text.splitlines() if line and not line.startswith("#")]
    assert len(lock.packages) == len(lines) == len(set(lock.packages))
    assert lock.needs_bytes > 1e9


@pytest.mark.parametrize(
    ("engine", "differ"),
    [
        ("llamafactory", {"transformers"}),  # 5.6.0 breaks flash-attention 2
        ("vllm", {"apache-tvm-ffi", "setuptools", "triton"}),
    ],
)
def test_the_lock_for_cuda_is_the_tested_one_but_for_what_must_differ(
    engine: str, differ: set[str]
) -> None:
    pins = re.compile(r"^([\w.-]+)==(.*)$", re.M)
    cpu, cuda = (
        {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in pins.findall(text)}
        for text in (shipped_lock(engine, device).text for device in get_args(Device))
    )
    both = cpu.keys() & cuda.keys()
    assert len(both) > 75
    assert {name for name in both if cpu[name] != cuda[name]} == differ


@pytest.mark.parametrize("device", get_args(Device))
def test_the_settings_decide_for_which_device_an_engine_is(
    tmp_path: Path, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "llmops.toml").write_text(f'[engines]\ndevice = "{device}"\n')
    assert lock_for("vllm", load_settings(tmp_path)).device == device
    other = next(one for one in get_args(Device) if one != device)
    monkeypatch.setenv("LLMOPS_ENGINES_DEVICE", other)
    assert lock_for("vllm", load_settings(tmp_path)).device == other


def test_an_unknown_device_is_refused(llmops: Llmops) -> None:
    done = llmops("engines", "install", "--device", "cude")
    assert (done.returncode, "cpu or cuda" in done.stderr) == (2, True)


def test_key_changes_with_the_lock(tmp_path: Path) -> None:
    one = lock_for("llamafactory", project(tmp_path, "llamafactory==0.9.5\n"))
    two = lock_for("llamafactory", project(tmp_path, "llamafactory==0.9.5\nsix==1.16.0\n"))
    assert one.key.startswith("llamafactory-0.9.5-own-")
    assert one.key != two.key


def test_version_is_known_without_an_install(tmp_path: Path) -> None:
    assert lock_version("llamafactory", project(tmp_path, "LLaMAFactory == 0.9.6\n")) == "0.9.6"
    assert lock_version("vllm", project(tmp_path)) == "0.32.0"


def test_own_lock_without_the_engine_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no line of it pins the engine") as caught:
        lock_for("llamafactory", project(tmp_path, "six==1.16.0\n"))
    assert caught.value.where.endswith("lock.txt")


def test_own_lock_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    settings = project(tmp_path, "llamafactory==0.9.5\n")
    (tmp_path / "lock.txt").unlink()
    with pytest.raises(BadInput, match="cannot be read") as caught:
        lock_for("llamafactory", settings)
    assert caught.value.where == "engines.llamafactory.lock"


def test_unknown_engine_is_answered_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="`vlm` is not an engine") as caught:
        find("vlm", project(tmp_path))
    assert caught.value.fix == "did you mean `vllm`?"


def test_missing_engine_says_how_to_install_it(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="the engine vllm is not installed") as caught:
        find("vllm", project(tmp_path))
    assert caught.value.fix == "llmops engines install vllm"
    assert not (tmp_path / "cache").exists()


def test_directory_without_a_marker_is_never_used(tmp_path: Path) -> None:
    settings = project(tmp_path)
    root = CachePaths(settings.cache).environment(lock_for("vllm", settings).key)
    (root / "bin").mkdir(parents=True)
    (root / "bin" / "python").symlink_to(sys.executable)
    with pytest.raises(BadInput, match="not installed"):
        find("vllm", settings)


def test_own_python_is_found_by_its_metadata(tmp_path: Path) -> None:
    python, site = own_venv(tmp_path)
    found = find("llamafactory", project(tmp_path, python=python))
    assert (found.version, found.python, found.own) == ("0.9.5", python, True)
    assert found.site.samefile(site)


def test_own_python_is_asked_once(tmp_path: Path) -> None:
    python, _ = own_venv(tmp_path)
    settings = project(tmp_path, python=python)
    assert find("llamafactory", settings) == find("llamafactory", settings)
    assert asked(tmp_path) == 1


def test_own_python_is_asked_again_when_its_packages_changed(tmp_path: Path) -> None:
    python, site = own_venv(tmp_path)
    settings = project(tmp_path, python=python)
    find("llamafactory", settings)
    os.rename(site / "llamafactory-0.9.5.dist-info", tmp_path / "removed")
    describe(site, "0.9.6")
    assert find("llamafactory", settings).version == "0.9.6"


def test_own_python_without_the_engine_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no llamafactory is installed in the environment") as caught:
        find("llamafactory", project(tmp_path, python=Path(sys.executable)))
    assert caught.value.where == "engines.llamafactory.python"


@pytest.mark.parametrize(("mode", "said"), [(None, "does not exist"), (0o644, "is not executable")])
def test_own_python_that_cannot_run_is_refused(tmp_path: Path, mode: int | None, said: str) -> None:
    python = tmp_path / "python"
    if mode is not None:
        python.write_text("")
        python.chmod(mode)
    with pytest.raises(BadInput, match=said):
        find("llamafactory", project(tmp_path, python=python))


def test_own_python_that_is_no_python_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="does not answer as a Python interpreter"):
        find("llamafactory", project(tmp_path, python=Path("/bin/echo")))


def test_listing_names_what_is_missing(tmp_path: Path) -> None:
    lines = listing(project(tmp_path))
    assert [(line.engine, line.state) for line in lines] == [
        ("llamafactory", "not installed"),
        ("vllm", "not installed"),
    ]


def test_listing_says_why_an_own_python_is_broken(tmp_path: Path) -> None:
    line = listing(project(tmp_path, python=Path("nowhere")))[0]
    assert line.state == "broken"
    assert "does not exist" in line.what


def test_removing_what_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no environment in the cache"):
        to_remove("vllm", project(tmp_path))
    with pytest.raises(BadInput, match="neither an engine nor an environment") as caught:
        to_remove("vlmm", project(tmp_path))
    assert caught.value.fix == "did you mean `vllm`?"


def test_too_little_disk_is_said_before_anything_starts(tmp_path: Path) -> None:
    settings = project(tmp_path, "# needs: 99999999.0 GB\nllamafactory==0.9.5\n")
    with pytest.raises(Failed, match=r"needs 99999999\.0 GB on the disk") as caught:
        install(lock_for("llamafactory", settings), CachePaths(settings.cache), ignore)
    assert "LLMOPS_CACHE" in caught.value.fix


def test_failure_of_pip_shows_its_words_and_leaves_nothing(tmp_path: Path) -> None:
    settings = project(tmp_path, "--no-index\nllamafactory==0.9.5\n")
    cache = CachePaths(settings.cache)
    with pytest.raises(Failed, match="No matching distribution found for llamafactory") as caught:
        install(lock_for("llamafactory", settings), cache, ignore)
    assert "does not offer that package" in caught.value.fix
    assert Path(caught.value.where).is_file()
    assert [path for path in cache.environments.iterdir() if path.is_dir()] == []


class Impatient:
    """Interrupts a process as soon as it says something."""

    def line(self, text: str) -> None:
        raise KeyboardInterrupt

    def tick(self) -> None:
        pass


def test_interrupted_process_ends_with_all_its_children(tmp_path: Path) -> None:
    child = "import os, signal; print(os.getpid(), flush=True); signal.pause()"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    with held(tmp_path / "lock", lambda: None) as handle, pytest.raises(KeyboardInterrupt):
        run([sys.executable, "-c", parent], tmp_path / "log", handle, Impatient())
    pid = int((tmp_path / "log").read_text())
    assert end_of([pid]) == []


def test_lock_outlives_a_holder_that_was_killed(tmp_path: Path) -> None:
    holder = (
        "import os, subprocess, sys\n"
        "from pathlib import Path\n"
        "from llmops.environments.hold import held\n"
        "with held(Path('lock'), lambda: None) as handle:\n"
        "    child = 'import sys; sys.stdin.read()'\n"
        "    subprocess.Popen([sys.executable, '-c', child], pass_fds=(handle,))\n"
        "    os._exit(0)\n"
    )
    ended = subprocess.Popen([sys.executable, "-c", holder], cwd=tmp_path, stdin=subprocess.PIPE)
    assert ended.wait(30) == 0
    assert ended.stdin is not None
    with held(tmp_path / "lock", ended.stdin.close):
        assert ended.stdin.closed
