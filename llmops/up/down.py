"""Ending what runs of a project, from any terminal: what `llmops down` does."""

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from llmops.control.presence import present
from llmops.errors import BadInput, Failed
from llmops.runner.record import list_runs
from llmops.serving.state import running
from llmops.spec.settings import Settings
from llmops.store.liveness import is_alive, terminate
from llmops.store.paths import ProjectPaths
from llmops.up.record import read_up

SECONDS = 90.0
"""How long all of it may take to end in order."""


@dataclass(frozen=True)
class Ending:
    """A process that is to end: its name for people, its number and its mark."""

    name: str
    pid: int
    mark: str

    def alive(self) -> bool:
        return is_alive(self.pid, self.mark)


def down(
    settings: Settings, report: Callable[[str], None], *, by: str, stop_runs: bool = False
) -> int:
    """End `up` with its parts, then what was started without it; how many processes that were.

    Runs go on, unless `stop_runs`; by: who asks. Raises Failed when something has not ended in
    time, or the database is away with runs to stop.
    """
    paths = ProjectPaths(settings.root)
    if stop_runs:
        _stop_runs(settings, paths, by, report)
    deadline = time.monotonic() + SECONDS
    ended = 0
    finders = (_up, partial(_announced, "ui"), partial(_announced, "control"), _deployments)
    for find in finders:  # each when its turn has come: what ends may take the next along
        for one in find(paths):
            report(f"stopping {one.name} (process {one.pid})")
            _end(one, deadline)
            ended += 1
    return ended


def _up(paths: ProjectPaths) -> list[Ending]:
    found = read_up(paths)
    return [Ending("up", found.pid, found.process_started)] if found is not None else []


def _announced(name: str, paths: ProjectPaths) -> list[Ending]:
    found = present(paths, name)
    if found is None:
        return []
    return [Ending(name, int(found["pid"]), str(found["process_started"]))]


def _deployments(paths: ProjectPaths) -> list[Ending]:
    """Those of runs end with their runs."""
    states = running(paths.serving)
    return [Ending(f"deployment {s.name}", s.pid, s.process_started) for s in states]


def _end(one: Ending, deadline: float) -> None:
    terminate(one.pid, one.mark)
    while one.alive():
        if time.monotonic() > deadline:
            raise Failed(
                f"{one.name} (process {one.pid}) has not ended after {SECONDS:.0f} s",
                fix=f"`kill -9 {one.pid}` ends it with all that it started",
            )
        time.sleep(0.05)


def _stop_runs(
    settings: Settings, paths: ProjectPaths, by: str, report: Callable[[str], None]
) -> None:
    """In order, so that no scheduler goes on with them; what is queued stays so."""
    from llmops.scheduling.runs import Runs
    from llmops.store.database import open_database

    going = [run for run in list_runs(paths) if run.state == "running"]
    if not going:
        return
    database = open_database(settings)
    try:
        for run in going:
            report(f"stopping run {run.id} (process {run.pid})")
            with contextlib.suppress(BadInput):  # it has ended meanwhile
                Runs(settings, database).stop(run.id, by)
    finally:
        database.dispose()
