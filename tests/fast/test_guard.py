"""The guard, with real processes: nothing outlives the parent, and the exit code tells the truth.

Processes say on a FIFO that they are up, and its end tells that the last of them is gone: both can
be awaited.
"""

import contextlib
import os
import select
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from llmops.runner import guard

SECONDS = 30.0

# Opens the FIFO for writing, so that its reader sees the end when the last such process is gone.
SPEAK = "import os; out = os.open(os.environ['FIFO'], os.O_WRONLY); os.set_inheritable(out, True)\n"
WAIT = SPEAK + "import signal\nos.write(out, b'up\\n')\nwhile True: signal.pause()\n"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + WAIT


class Fifo:
    """What the processes say, and when the last of them is gone."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.path = path
        self._read = os.open(path, os.O_RDONLY | os.O_NONBLOCK)

    def line(self) -> str:
        """The next line. Fails when none comes."""
        return self._next(b"\n").decode().strip()

    def gone(self) -> bool:
        """True once every process that opened it has ended."""
        return self._next(None) == b""

    def _next(self, end: bytes | None) -> bytes:
        deadline, got = time.monotonic() + SECONDS, b""
        while time.monotonic() < deadline:
            if select.select([self._read], [], [], 0.05)[0]:
                part = os.read(self._read, 1)
                got += part
                if part == end or (end is None and not part):
                    return got if end else b""
        raise AssertionError(f"nothing after {SECONDS:.0f} s but {got!r}")

    def close(self) -> None:
        os.close(self._read)


@pytest.fixture
def fifo(tmp_path: Path) -> Iterator[Fifo]:
    opened = Fifo(tmp_path / "fifo")
    yield opened
    opened.close()


class Guarded:
    """A guard, started as the control plane starts it."""

    def __init__(self, *argv: str, fifo: Fifo | None = None) -> None:
        read, self.pipe = os.pipe()
        env = {**os.environ, "FIFO": str(fifo.path)} if fifo else None
        self.process = subprocess.Popen(
            guard.guarded(argv, read),
            pass_fds=[read],
            start_new_session=True,
            env=env,
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        os.close(read)

    def signal(self, number: int) -> None:
        os.killpg(self.process.pid, number)

    def close(self) -> None:
        """The parent dies, as far as the guard can tell."""
        if self.pipe >= 0:
            os.close(self.pipe)
            self.pipe = -1

    def code(self) -> int:
        return self.process.wait(SECONDS)

    def __enter__(self) -> "Guarded":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(SECONDS)
        assert self.process.stdin is not None
        assert self.process.stderr is not None
        self.process.stdin.close()
        self.process.stderr.close()


def python(code: str) -> list[str]:
    return [sys.executable, "-S", "-E", "-c", textwrap.dedent(code)]


def spawning(code: str, *, new_session: bool = False, then: str = "child.wait()") -> list[str]:
    """A process that starts `code` as its child, which says when it is up."""
    return python(
        f"import subprocess, sys\n"
        f"child = subprocess.Popen([sys.executable, '-S', '-E', '-c', {code!r}],"
        f" start_new_session={new_session})\n{then}\n"
    )


@pytest.mark.parametrize("code", [0, 3, 143])
def test_it_exits_with_the_code_of_the_command(code: int) -> None:
    with Guarded(*python(f"raise SystemExit({code})")) as guarded:
        assert guarded.code() == code


def test_it_exits_with_128_and_the_signal_that_killed_the_command() -> None:
    with Guarded(*python("import os; os.kill(os.getpid(), 9)")) as guarded:
        assert guarded.code() == 128 + signal.SIGKILL


def test_it_exits_with_127_and_says_why_when_the_command_cannot_start() -> None:
    with Guarded("/nowhere/python") as guarded:
        assert guarded.code() == 127
        assert guarded.process.stderr is not None
        assert b"/nowhere/python cannot be started: No such file" in guarded.process.stderr.read()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_gets_the_signals_that_the_guard_outlives(fifo: Fifo, number: int) -> None:
    handling = f"import signal; signal.signal({int(number)}, lambda *_: os._exit(42))\n"
    with Guarded(*python(SPEAK + handling + WAIT), fifo=fifo) as guarded:
        assert fifo.line() == "up"
        guarded.signal(number)
        assert guarded.code() == 42


def test_the_command_starts_with_the_default_action_for_signals(fifo: Fifo) -> None:
    with Guarded(*python(WAIT), fifo=fifo) as guarded:
        assert fifo.line() == "up"
        guarded.signal(signal.SIGTERM)
        assert guarded.code() == 128 + signal.SIGTERM


@pytest.mark.parametrize("new_session", [False, True])
def test_nothing_outlives_a_parent_that_is_killed(fifo: Fifo, new_session: bool) -> None:
    inner = spawning(WAIT, new_session=new_session)
    parent = subprocess.Popen(
        python(
            f"""
            import os, subprocess, sys
            sys.path.insert(0, {str(Path(guard.__file__).parent)!r})
            import guard
            read, write = os.pipe()
            subprocess.Popen(guard.guarded({inner!r}, read), pass_fds=[read],
                             start_new_session=True).wait()
            """
        ),
        env={**os.environ, "FIFO": str(fifo.path)},
    )
    assert fifo.line() == "up"
    parent.kill()
    parent.wait()
    assert fifo.gone()


def test_a_command_that_ignores_sigterm_is_killed_after_the_grace(
    fifo: Fifo, tmp_path: Path
) -> None:
    quick = tmp_path / "quick.py"
    source = Path(guard.__file__).read_text(encoding="utf-8")
    quick.write_text(source.replace("GRACE = 10.0", "GRACE = 0.5"), encoding="utf-8")
    read, write = os.pipe()
    argv = [sys.executable, "-S", "-E", str(quick), str(read), "--", *python(STUBBORN)]
    env = {**os.environ, "FIFO": str(fifo.path)}
    process = subprocess.Popen(argv, pass_fds=[read], start_new_session=True, env=env)
    assert fifo.line() == "up"
    os.close(read)
    os.close(write)
    assert process.wait(SECONDS) == 128 + signal.SIGKILL
    assert fifo.gone()


def test_a_byte_on_the_pipe_kills_at_once(fifo: Fifo) -> None:
    with Guarded(*spawning(STUBBORN, new_session=True), fifo=fifo) as guarded:
        assert fifo.line() == "up"
        begun = time.monotonic()
        os.write(guarded.pipe, b"k")
        assert guarded.code() == 128 + signal.SIGKILL
        assert time.monotonic() - begun < guard.LEFTOVER_GRACE
        assert fifo.gone()


@pytest.mark.parametrize("new_session", [False, True])
def test_what_a_command_leaves_behind_ends_with_it(fifo: Fifo, new_session: bool) -> None:
    left = spawning(WAIT, new_session=new_session, then="input(); raise SystemExit(5)")
    with Guarded(*left, fifo=fifo) as guarded:
        assert fifo.line() == "up"
        assert guarded.process.stdin is not None
        guarded.process.stdin.write(b"\n")
        guarded.process.stdin.flush()
        assert guarded.code() == 5
        assert fifo.gone()
