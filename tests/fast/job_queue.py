"""A project with a queue that tests turn by hand; its runs are real processes.

A run is held in its middle by the lock on the model's aliases, that a move of one waits for.
"""

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from filelock import FileLock

from llmops.registry.store import Registry
from llmops.runner.record import RunRecord, read_run
from llmops.scheduling import jobs
from llmops.scheduling.dispatch import Dispatcher
from llmops.scheduling.holder import Holder, read_holder
from llmops.scheduling.jobs import Job
from llmops.scheduling.runs import Request, Runs
from llmops.spec.settings import load_settings
from llmops.store.database import open_database, reading
from tests.fast.town_project import make_town, rated, write_log
from tests.waiting import until

MOVE = 'name: p\nstages:\n  offer: {promote: "town:v3", to: candidate}\n'
PAIRS = """\
kind: preferences
deployment: town
builders: {votes: {}}
output: {preferences: town}
"""
TURNING = """\
import os, signal, sys, time
from llmops.scheduling.dispatch import Dispatcher
from llmops.spec.settings import load_settings
from llmops.store.database import open_database

class Turning(Dispatcher):
    def _spawn(self, job, gpus):
        if sys.argv[1] == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        child = super()._spawn(job, gpus)
        if sys.argv[1] == "after":
            os.kill(os.getpid(), signal.SIGKILL)
        return child

settings = load_settings()
database, dispatcher = open_database(settings), Turning(settings, gpus=())
while True:
    dispatcher.tick(database, time.time())
    time.sleep(0.05)
"""
"""A dispatcher in a process of its own, that is killed before or after it starts a process."""


class Queue:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.registry: Registry = make_town(root)
        self.write(MOVE)
        self.settings = load_settings()
        self.database: sa.Engine = open_database(self.settings)
        self.runs = Runs(self.settings, self.database)
        self.dispatcher = Dispatcher(self.settings, gpus=())
        self._turning: list[subprocess.Popen[bytes]] = []
        self.later = 0.0
        """Seconds by which the tests have moved the clock."""

    def write(self, pipeline: str) -> None:
        (self.root / "p.yaml").write_text(pipeline, encoding="utf-8")

    def make_heavy(self) -> None:
        """Each of its runs needs a device, and is held at its move before that."""
        self.write(MOVE + "  pairs: {recipe: r.yaml, after: [offer]}\n")
        (self.root / "r.yaml").write_text(PAIRS, encoding="utf-8")
        write_log(self.root, rated(9, (0.5, 0.5)))

    def ask(self, **changes: Any) -> Job:
        return self.runs.submit(Request(**{"target": "p.yaml", "by": "cli:test", **changes}))

    def job(self, run: str) -> Job:
        with reading(self.database) as connection:
            found = jobs.find(connection, run)
        assert found is not None
        return found

    def record(self, run: str) -> RunRecord:
        found = read_run(self.runs.paths.run(run))
        assert found is not None
        return found

    def holder(self, run: str) -> Holder:
        """Of a run whose process has it."""
        found = until(lambda: read_holder(self.runs.paths.run(run)))
        assert found is not None
        return found

    def tick(self) -> None:
        self.dispatcher.tick(self.database, time.time() + self.later)

    def until(self, run: str, *states: str) -> Job:
        """Turn until the job is in one of these states."""

        def there() -> Job | None:
            self.tick()
            job = self.job(run)
            return job if job.state in states else None

        found = until(there, seconds=30)
        assert found is not None
        return found

    def ended(self, run: str) -> Job:
        return self.until(run, *jobs.ENDED)

    def moves(self) -> int:
        """How often the candidate moved since the beginning."""
        return sum(move.alias == "candidate" for move in self.registry.history("town")) - 1

    def hold(self) -> FileLock:
        """Within it, runs come as far as their move."""
        lock = self.runs.paths.lock("aliases-town")
        lock.parent.mkdir(parents=True, exist_ok=True)
        return FileLock(lock)

    def in_its_middle(self, run: str) -> Holder:
        """Turn until the run is at its move."""
        self.until(run, "running")

        def there() -> bool:
            record = read_run(self.runs.paths.run(run))
            return record is not None and record.stages[0].state == "running"

        until(there)
        return self.holder(run)

    def turning(self, killed: str = "never") -> "subprocess.Popen[bytes]":
        """A dispatcher that is another process, and its group. killed: before, after or never."""
        argv = [sys.executable, "-c", TURNING, killed]
        self._turning.append(subprocess.Popen(argv, cwd=self.root, start_new_session=True))
        return self._turning[-1]

    def close(self) -> None:
        for process in self._turning:
            process.kill()
            process.wait()
        self.dispatcher.close()
        self.database.dispose()
