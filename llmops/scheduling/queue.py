"""The queue as people see it: what was asked for and has not ended, its place, and why it waits."""

import threading
import time
from dataclasses import dataclass

import sqlalchemy as sa

from llmops.runner.record import read_run
from llmops.scheduling.halt import halted
from llmops.scheduling.jobs import Job, in_order
from llmops.scheduling.signs import at_work
from llmops.scheduling.turns import Turns
from llmops.store.database import reading
from llmops.store.paths import ProjectPaths

UNWORKED = "nobody works on the queue: `llmops up`, or `llmops scheduler`"


@dataclass(frozen=True)
class Standing:
    """place: in the queue, from 1, while it is queued; why: it does not run now, empty for what
    runs."""

    job: Job
    place: int | None = None
    why: str = ""


class Queue:
    """The queue of one project, as told from this machine; it may be asked often, by any thread."""

    def __init__(self, paths: ProjectPaths) -> None:
        self._paths = paths
        self._turns = Turns(paths)
        self._telling = threading.Lock()

    def standings(self, database: sa.Engine) -> list[Standing]:
        """In the order in which they were asked for. Raises Failed when the database is away."""
        with reading(database) as connection:
            active, halt = in_order(connection), halted(connection)
            worked = at_work(connection, time.time())
        held = ""
        if halt is not None:
            held = f"halted by {halt['by']}: `llmops schedule unhalt`"
        elif not worked:
            held = UNWORKED
        with self._telling:
            turns = {turn.job.id: turn.why for turn in self._turns.queued(active)}
        places = {run: place for place, run in enumerate(turns, start=1)}
        return [
            Standing(job, places.get(job.id), self._why(job, held, turns.get(job.id, "")))
            for job in active
        ]

    def standing(self, database: sa.Engine, run: str) -> Standing | None:
        """Of one run; None for one that is not in it. Raises as standings."""
        return next((one for one in self.standings(database) if one.job.id == run), None)

    def _why(self, job: Job, held: str, turn: str) -> str:
        if job.state == "approval":
            return f"a person must agree: `llmops approve {job.id}`"
        if job.state == "queued":
            return held or turn or "its turn has come"
        record = read_run(self._paths.run(job.id))
        if job.state != "waiting":
            runs = record is not None and record.state == "running"
            return "" if runs else held or "its process begins"
        stages = record.stages if record is not None else []
        return next((str(one.error) for one in stages if one.state == "waiting" and one.error), "")
