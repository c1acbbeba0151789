"""Engine processes: exit codes, signals to the whole group, logs."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from llmops.runner import process
from tests.processes import end_of

SLEEPER = (
    "import signal\n"
    "def asked(*_): print('asked', flush=True); raise SystemExit(0)\n"
    "signal.signal(signal.SIGTERM, asked)\n"
    "print('up', flush=True)\n"
    "signal.pause()"
)


def script(text: str) -> list[str]:
    return [sys.executable, "-c", text]


def run(tmp_path: Path, text: str) -> tuple[int, int | None]:
    log = tmp_path / "log.txt"
    return process.run(
        script(text), env={"X_TEST": "here"}, log=log, cwd=tmp_path, tick=lambda _: None
    )


@pytest.mark.parametrize("code", [0, 3])
def test_the_exit_code_comes_back(tmp_path: Path, code: int) -> None:
    assert run(tmp_path, f"import sys; sys.exit({code})") == (code, None)


def test_death_by_a_signal_is_128_and_its_number(tmp_path: Path) -> None:
    assert run(tmp_path, "import os; os.kill(os.getpid(), 9)")[0] == 137


def test_output_and_errors_are_kept(tmp_path: Path) -> None:
    run(tmp_path, "import os, sys; print(os.environ['X_TEST']); print('bad', file=sys.stderr)")
    assert set((tmp_path / "log.txt").read_text(encoding="utf-8").split()) == {"here", "bad"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_llmops_ends_the_whole_group(tmp_path: Path, number: int) -> None:
    """That the terminal was closed, too: told as SIGTERM, on which an engine may save."""
    log = tmp_path / "log.txt"
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {SLEEPER!r}])"

    def when_up(_: process.Process) -> None:
        if log.exists() and "up" in log.read_text(encoding="utf-8"):
            signal.raise_signal(number)

    # Under nohup, as where tests run by themselves, a closed terminal is for nobody to hear of.
    before = signal.signal(number, signal.SIG_DFL)
    try:
        code, signalled = process.run(script(child), env={}, log=log, cwd=tmp_path, tick=when_up)
    finally:
        signal.signal(number, before)
    assert (code, signalled) == (128 + signal.SIGTERM, signal.SIGTERM)
    assert log.read_text(encoding="utf-8").split() == ["up", "asked"]


def test_a_kill_asks_nobody_first(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"

    def when_up(job: process.Process) -> None:
        if log.exists() and "up" in log.read_text(encoding="utf-8"):
            job.kill()

    code, _ = process.run(script(SLEEPER), env={}, log=log, cwd=tmp_path, tick=when_up)
    assert code == 128 + signal.SIGKILL
    assert log.read_text(encoding="utf-8").split() == ["up"]


def test_a_second_ctrl_c_kills_what_did_not_heed_the_first(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    deaf = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN);"

    def when_up(job: process.Process) -> None:
        if log.exists() and log.read_text(encoding="utf-8") and job.popen.poll() is None:
            signal.raise_signal(signal.SIGINT)

    text = deaf + "print('up', flush=True); signal.pause()"
    code, signalled = process.run(script(text), env={}, log=log, cwd=tmp_path, tick=when_up)
    assert (code, signalled) == (128 + signal.SIGKILL, signal.SIGINT)


def test_it_dies_with_its_guard(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    told = "import os; print(os.getpid(), flush=True);"

    def when_up(job: process.Process) -> None:
        if log.exists() and log.read_text(encoding="utf-8").endswith("\n"):
            job.popen.kill()

    argv = script(told + SLEEPER.replace("print('up', flush=True)", "pass"))
    code, _ = process.run(argv, env={}, log=log, cwd=tmp_path, tick=when_up)
    assert code == 128 + signal.SIGKILL
    assert end_of([int(log.read_text(encoding="utf-8"))]) == []


def test_a_command_that_does_not_exist_fails(tmp_path: Path) -> None:
    code, _ = process.run(
        ["/no/such/python"], env={}, log=tmp_path / "log.txt", cwd=tmp_path, tick=lambda _: None
    )
    assert code != 0
    assert "/no/such/python" in process.tail(tmp_path / "log.txt")


def test_the_tail_shows_the_last_state_of_a_progress_bar(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    log.write_bytes(b"first\n 10%\r 20%\r 30%\nlast \xff\n\n")
    assert process.tail(log, 2) == " 30%\nlast �"


def test_no_file_of_the_project_is_taken_for_ours(tmp_path: Path) -> None:
    (tmp_path / "llmops.py").write_text("raise SystemExit('theirs')", encoding="utf-8")
    argv = process.interpreter("llmops", "--help")
    assert subprocess.run(argv, cwd=tmp_path, capture_output=True).returncode == 0
