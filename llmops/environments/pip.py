"""pip in a process group of its own: followed package by package, ended with whoever started it.

pip's configuration is the user's; no index is named here. What pip says goes to a log as it comes;
only its end is shown, when it fails.
"""

import contextlib
import importlib.util
import os
import re
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from llmops.environments.lock import Lock
from llmops.environments.progress import Report, Step
from llmops.errors import Failed

TICK_SECONDS = 0.5
TAIL_LINES = 8
END_SECONDS = 10.0

# What pip's own words say about the cause, and what to do about it.
CAUSES = (
    (
        r"No space left|Disk quota exceeded",
        "the disk is full: free some space, or set LLMOPS_CACHE (environments) or TMPDIR (pip's "
        "temporary files) to a larger one",
    ),
    (
        r"Temporary failure in name resolution|NewConnectionError|ConnectTimeout|Read timed out|"
        r"ProxyError|SSLError|Max retries|Network is unreachable",
        "the package index was not reached: check the network, and pip's configuration "
        "(`pip config list`: index-url, proxy, cert)",
    ),
    (
        r"No matching distribution|Could not find a version",
        "the index that pip is configured with does not offer that package for this Python and "
        "platform: check `pip config list`, or name a lock of your own ([engines.X] lock)",
    ),
    (
        r"Invalid requirement|Could not open requirements file",
        "the lock file is not what `pip freeze` writes: correct the line that pip names",
    ),
)


def create_venv(target: Path, name: str, log: Path, handle: int) -> None:
    """An empty virtual environment of the Python that runs llmops. Raises Failed."""
    options = ["--prompt", name, *(["--without-pip"] if _has_pip() else [])]
    code = run([sys.executable, "-m", "venv", *options, str(target)], log, handle)
    if code != 0:
        raise Failed(
            f"python -m venv failed ({code}):\n{tail(log)}",
            where=str(log),
            fix="Python needs its venv and ensurepip modules (Debian, Ubuntu: python3-venv)",
        )


def install_packages(
    lock: Lock, requirements: Path, target: Path, log: Path, handle: int, report: Report
) -> None:
    """Install the packages of `lock` into the environment `target`. Raises Failed with pip's last
    words and what to check."""
    python = str(target / "bin" / "python")
    pip = [sys.executable, "-m", "pip", "--python", python] if _has_pip() else [python, "-m", "pip"]
    # Not compiled: compiling all of it takes as long as installing it, and most is never imported.
    options = ["--no-deps", "--no-compile", "--no-input", "--progress-bar", "off"]
    argv = [*pip, "install", *options, "--disable-pip-version-check", "-r", str(requirements)]
    follower = _Follower(lock, target, report)
    code = run(argv, log, handle, follower)
    if code != 0:
        said = tail(log)
        raise Failed(f"pip failed ({code}):\n{said}", where=str(log), fix=_cause(said))


def tail(log: Path) -> str:
    """The lines that tell: pip's errors if it named any, else its last lines."""
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR:")]
    return "\n".join(f"    {line[:300]}" for line in (errors or lines)[-TAIL_LINES:])


def _cause(said: str) -> str:
    for pattern, fix in CAUSES:
        if re.search(pattern, said):
            return fix
    return "the log has all that pip said; check the network, `pip config list` and the disk"


def _has_pip() -> bool:
    """Environments made by some tools have no pip; then the new environment gets one first."""
    return importlib.util.find_spec("pip") is not None


class _Follower:
    """Turns pip's lines, and what appears in site-packages, into steps. Told each line, and when
    nothing was said for a tick."""

    def __init__(self, lock: Lock, target: Path, report: Report) -> None:
        self._name = f"{lock.engine} {lock.version}"
        self._total = len(lock.packages)
        self._site = target / "lib"
        self._report = report
        self._collected = 0
        self._installing = False
        self._detail = ""

    def line(self, text: str) -> None:
        if match := re.match(r"Collecting ([^ ]+)", text):
            self._collected += 1
            self._detail = match[1]
        elif match := re.match(r"\s+Downloading ([^ /]+) \((.*)\)", text):
            self._detail = f"{match[1].split('-')[0]}, {match[2]}"
        elif text.startswith("Installing collected packages"):
            self._installing = True
        self.tick()

    def tick(self) -> None:
        if not self._installing:
            done = min(self._collected, self._total)
            self._report(Step(self._name, "downloading", done, self._total, self._detail))
            return
        # pip says nothing while it unpacks; RECORD is what it writes last for each package.
        done = sum(1 for _ in self._site.glob("python*/site-packages/*.dist-info/RECORD"))
        self._report(Step(self._name, "installing", min(done, self._total), self._total))


def run(argv: Sequence[str], log: Path, handle: int, follower: _Follower | None = None) -> int:
    """Run to the end, its output added to the log, and return the exit code; or, interrupted, end
    it and everything that it started. handle: the lock, which lives as long as they do."""
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    with log.open("ab") as file:
        process = subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            pass_fds=(handle,),
            start_new_session=True,
        )
        try:
            for line in _lines(process):
                if line is not None:
                    file.write(line)
                    file.flush()
                if follower is not None:
                    follower.tick() if line is None else follower.line(
                        line.decode(errors="replace")
                    )
            return process.wait()
        except BaseException:
            _end(process)
            raise
        finally:
            assert process.stdout is not None
            process.stdout.close()


def _lines(process: "subprocess.Popen[bytes]") -> Iterator[bytes | None]:
    """Its lines as they come, and None whenever it has said nothing for a tick."""
    assert process.stdout is not None
    handle = process.stdout.fileno()
    rest = b""
    while True:
        ready, _, _ = select.select([handle], [], [], TICK_SECONDS)
        if not ready:
            yield None
            continue
        chunk = os.read(handle, 65536)
        if not chunk:
            break
        *whole, rest = (rest + chunk).split(b"\n")
        yield from (line + b"\n" for line in whole)
    if rest:
        yield rest


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End the whole group (pip works in a child of its own), and wait until none of it writes."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(END_SECONDS)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    # Its children are not ours to wait for; the pipe ends when the last of them has gone.
    assert process.stdout is not None
    while select.select([process.stdout], [], [], END_SECONDS)[0]:
        if not os.read(process.stdout.fileno(), 65536):
            break
