"""Starting what is queued, while a device is free, and writing back how it ended.

Runs are processes of their own, in sessions of their own: they outlive whoever started them, and
the next dispatcher finds them by their files (settle.py). Any number of dispatchers may share a
database: a job is claimed by a change of its row, under a lease, and its process claims it again
(job.py), so that one that was started twice ends at once.
"""

import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from llmops.runner.devices import VISIBLE
from llmops.scheduling.clock import millis
from llmops.scheduling.halt import halted
from llmops.scheduling.jobs import ACTIVE, Job, change, in_order
from llmops.scheduling.settle import LEASE_SECONDS, settled
from llmops.scheduling.turns import Turn, Turns
from llmops.spec.settings import Settings
from llmops.store.atomic import full_disk
from llmops.store.database import reading, writing
from llmops.store.paths import ProjectPaths

if TYPE_CHECKING:
    import sqlalchemy as sa


class Dispatcher:
    """One process's hand on the queue. gpus: of this machine (default: it is asked)."""

    def __init__(self, settings: Settings, *, gpus: Sequence[str] | None = None) -> None:
        self._settings = settings
        self._paths = ProjectPaths(settings.root)
        self._turns = Turns(self._paths, gpus)
        self._children: dict[tuple[str, int], subprocess.Popen[bytes]] = {}

    def tick(self, database: "sa.Engine", now: float) -> None:
        """One turn. now: seconds. Raises Failed when the database is away."""
        lost = self._collect()
        with reading(database) as connection:
            active, halt = in_order(connection, ACTIVE), halted(connection)
        if self._settle(database, active, lost, now):
            with reading(database) as connection:
                active = in_order(connection, ACTIVE)
        if halt is None:
            self._start(database, active, now)

    def close(self) -> None:
        """Leave the processes to themselves: they go on."""
        for child in self._children.values():
            child.returncode = child.poll() or 0  # or Popen warns of what still runs
        self._children = {}

    def _collect(self) -> set[tuple[str, int]]:
        """Those of this dispatcher's processes that have ended, by job and try."""
        ended = {key for key, child in self._children.items() if child.poll() is not None}
        for key in ended:
            del self._children[key]
        return ended

    def _settle(
        self, database: "sa.Engine", active: list[Job], lost: set[tuple[str, int]], now: float
    ) -> bool:
        found = [
            (job, values)
            for job in active
            if (values := settled(job, self._paths, now, lost=(job.id, job.tries) in lost))
        ]
        if found:
            with writing(database) as connection:
                for job, values in found:
                    change(connection, job, **values)
        return bool(found)

    def _start(self, database: "sa.Engine", active: list[Job], now: float) -> None:
        for turn in self._turns.queued(active):
            if not turn.why and (mine := self._claimed(database, turn.job, now)) is not None:
                self._begin(database, mine)

    def _claimed(self, database: "sa.Engine", job: Job, now: float) -> Turn | None:
        """Its turn, which is this dispatcher's now; None when another one took the job, or has
        given its device away meanwhile."""
        with writing(database) as connection:
            turns = self._turns.queued(in_order(connection, ACTIVE))
            turn = next((one for one in turns if one.job.id == job.id), None)
            if turn is None or turn.why:
                return None
            values = {
                "state": "starting",
                "tries": turn.job.tries + 1,
                "host": socket.gethostname(),
                "pid": None,
                "gpus": ",".join(turn.gpus) or None,
                "lease_until": millis(now + LEASE_SECONDS),
            }
            return turn if change(connection, turn.job, **values) else None

    def _begin(self, database: "sa.Engine", turn: Turn) -> None:
        """Start its process."""
        job = turn.job
        try:
            self._children[job.id, job.tries + 1] = self._spawn(job, turn.gpus)
        except BaseException:
            # No process was lost, so it is no try: a full disk must not use them up.
            taken = replace(job, state="starting", tries=job.tries + 1)
            with writing(database) as connection:
                change(connection, taken, state="queued", tries=job.tries, lease_until=None)
            raise

    def _spawn(self, job: Job, gpus: Sequence[str]) -> "subprocess.Popen[bytes]":
        log = self._paths.run_log(job.id)
        argv = [sys.executable, "-P", "-m", "llmops.scheduling.job", job.id, str(job.tries + 1)]
        own = {VISIBLE: ",".join(gpus)} if gpus else {}
        with full_disk(log):
            log.parent.mkdir(parents=True, exist_ok=True)
            with log.open("ab") as output:
                return subprocess.Popen(
                    argv,
                    cwd=self._settings.root,
                    env={**os.environ, "LLMOPS_CORRELATION_ID": job.correlation, **own},
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
