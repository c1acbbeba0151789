"""What the control process costs: idle, with its scheduler and its ingester, and while twenty
people look.

A project of its own with thirty schedules and two thousand past runs. Memory is the resident set,
CPU the share of one core over the time given; answers are whole requests over loopback. The floor
is the same interpreter with uvicorn and an empty FastAPI application, in the same run.
"""

import json
import os
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from llmops.runner.record import RunRecord, StageRecord  # noqa: E402
from llmops.starter import copy_starter  # noqa: E402
from llmops.store.atomic import write_json  # noqa: E402
from llmops.store.paths import ProjectPaths  # noqa: E402

SCHEDULES, RUNS, BROWSERS = 30, 2_000, 20
PAGES = ("/dashboard/data", "/runs", "/models", "/deployments", "/schedules", "/runs/last")
EMPTY = (
    "import fastapi, uvicorn; "
    "uvicorn.run(fastapi.FastAPI(), port=0, log_level='info', access_log=False)"
)


class ControlBench:
    """project: a directory that is not there yet."""

    def __init__(self, project: Path) -> None:
        self.project = project

    def prepare(self) -> None:
        copy_starter(self.project)
        for number in range(SCHEDULES):
            text = (
                f"name: night-{number}\nstages:\n  base: {{recipe: recipes/base.yaml}}\n"
                f'triggers:\n  - {{cron: "{number} 3 * * 1"}}\n'
            )
            file = self.project / "pipelines" / f"night-{number}.yaml"
            file.write_text(text, encoding="utf-8")
        paths = ProjectPaths(self.project)
        for number in range(RUNS):
            run = f"202601{1 + number % 28:02d}-{number:06d}-town"
            write_json(paths.run(run).record, _record(run).model_dump())

    @contextmanager
    def control(self) -> Iterator[tuple[int, str]]:
        """Its pid and URL."""
        argv = [sys.executable, "-m", "llmops", "control", "--port", "0"]
        with _process(argv, self.project) as found:
            yield found

    @contextmanager
    def empty(self) -> Iterator[tuple[int, str]]:
        with _process([sys.executable, "-c", EMPTY], self.project) as found:
            yield found


def idle(pid: int, seconds: float) -> tuple[float, float]:
    """MB resident, and the share of a core, over so many seconds in which nobody asks."""
    began, before = time.monotonic(), cpu_seconds(pid)
    time.sleep(seconds)
    return _resident(pid), (cpu_seconds(pid) - before) / (time.monotonic() - began)


def looked_at(pid: int, url: str, seconds: float) -> dict[str, Any]:
    """Twenty who each ask every page every two seconds: the times of answers in ms, by page, the
    share of a core, and MB resident afterwards."""
    times: dict[str, list[float]] = {page: [] for page in PAGES}
    until = time.monotonic() + seconds
    began, before = time.monotonic(), cpu_seconds(pid)
    threads = [threading.Thread(target=_browser, args=(url, until, times)) for _ in range(BROWSERS)]
    for number, thread in enumerate(threads):
        thread.start()
        time.sleep(2.0 / len(threads) if number + 1 < len(threads) else 0)
    for thread in threads:
        thread.join()
    share = (cpu_seconds(pid) - before) / (time.monotonic() - began)
    return {"times": times, "share": share, "resident": _resident(pid)}


def rows(bench: ControlBench, seconds: float = 60.0) -> list[tuple[str, str, str]]:
    """For a table: what, median (or the figure), spread."""
    found = []
    with bench.empty() as (pid, _):
        memory, share = idle(pid, seconds / 6)
        found.append(("an empty FastAPI application, idle", f"{memory:.0f} MB", f"{share:.2%}"))
    with bench.control() as (pid, url):
        with httpx.Client(base_url=url, trust_env=False, timeout=60) as client:
            for page in PAGES:
                client.get(page)
        memory, share = idle(pid, seconds)
        found.append(("llmops control, idle", f"{memory:.0f} MB", f"{share:.2%} of a core"))
        seen = looked_at(pid, url, seconds / 2)
        found.append(
            (
                f"llmops control, {BROWSERS} browsers",
                f"{seen['resident']:.0f} MB",
                f"{seen['share']:.0%} of a core",
            )
        )
        for page, times in seen["times"].items():
            ordered = sorted(times)
            p95 = ordered[int(0.95 * (len(ordered) - 1))]
            found.append((f"GET {page}", f"{statistics.median(times):.1f} ms", f"p95 {p95:.1f} ms"))
    return found


def _browser(url: str, until: float, times: dict[str, list[float]]) -> None:
    with httpx.Client(base_url=url, trust_env=False, timeout=60) as client:
        while time.monotonic() < until:
            for page in PAGES:
                began = time.perf_counter()
                client.get(page).raise_for_status()
                times[page].append((time.perf_counter() - began) * 1000)
            time.sleep(2.0)


@contextmanager
def _process(argv: list[str], cwd: Path) -> Iterator[tuple[int, str]]:
    process = subprocess.Popen(argv, cwd=cwd, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        for line in process.stderr:
            if "http://" in line:
                break
        rest = threading.Thread(target=process.stderr.read, daemon=True)
        rest.start()
        yield process.pid, "http://" + line.partition("http://")[2].split()[0]
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def _record(run: str) -> RunRecord:
    stages = [
        StageRecord(name=name, kind="train", state="done", attempt=1, output=f"town:v{n}")
        for n, name in enumerate(("base", "cpt", "sft", "dpo"), start=1)
    ]
    return RunRecord(
        id=run,
        target="pipelines/town.yaml",
        file="pipelines/town.yaml",
        state="done",
        started="2026-01-01T00:00:00+00:00",
        ended="2026-01-01T00:10:00+00:00",
        pid=1,
        process_started="0",
        stages=stages,
    )


def _resident(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def cpu_seconds(pid: int) -> float:
    """Seconds of user and system time so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        bench = ControlBench(Path(folder) / "town")
        bench.prepare()
        print(json.dumps(rows(bench), indent=1))
