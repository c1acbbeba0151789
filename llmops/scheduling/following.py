"""Following a run from its place in the queue to its end, whichever processes carry it out."""

import time
from collections.abc import Generator, Iterator

from llmops.errors import Failed
from llmops.runner.observe import POLL_SECONDS, Change, Watch
from llmops.runner.record import read_run
from llmops.scheduling.holder import read_holder
from llmops.scheduling.jobs import ACTIVE, Job
from llmops.scheduling.queue import Queue, Standing
from llmops.scheduling.runs import Runs
from llmops.store.run_paths import RunPaths

EXIT_CODES = {"done": 0, "waiting": 0, "refused": 3, "interrupted": 130, "cancelled": 130}
"""By how a run ended, as `llmops run` ends; 1 for any other."""
LOOK_SECONDS = 1.0
_MAY_GO_ON = ("died", "interrupted")
"""By itself, while the queue has it."""


def followed(runs: Runs, run: str) -> Iterator[Change]:
    """What changes, until it has ended or waits for evidence; the last one is `end`, with the
    `state`. While it is in the queue: `queue`, with its `place` and why it waits, once that is
    other than before."""
    seen = ""
    while True:
        yield from _until_it_runs(runs, run)
        if read_run(runs.paths.run(run)) is None:
            yield Change("end", _unbegun(runs, run), "")
            return
        watch = Watch(runs.paths, run, seen)
        end = yield from _watched(watch)
        seen = watch.seen
        job = runs.job(run) if end.data["state"] in _MAY_GO_ON else None
        if job is None or job.state not in ACTIVE or runs.paths.run(run).stop.exists():
            yield end
            return


def _until_it_runs(runs: Runs, run: str) -> Iterator[Change]:
    """While the queue has it, and no process is at it."""
    queue, told = Queue(runs.paths), None
    while (standing := _standing(queue, runs, run)) is not None:
        if not _is_to_run(standing.job, runs.paths.run(run)):
            return
        now = {"state": standing.job.state, "place": standing.place, "why": standing.why}
        if now != told:
            told = now
            yield Change("queue", now, "")
        time.sleep(LOOK_SECONDS)


def _is_to_run(job: Job, run: RunPaths) -> bool:
    """Also while its process plans: what its record says then is of another before it."""
    record = read_run(run)
    if job.state == "waiting" or (record is not None and record.state == "running"):
        return False
    if job.state != "running" or record is None or record.state == "died":
        return True
    holder = read_holder(run)
    return holder is not None and holder.is_alive(run.holder)


def _watched(watch: Watch) -> Generator[Change, None, Change]:
    """All but the end, which it returns."""
    while True:
        for change in watch.poll():
            if change.event == "end":
                return change
            yield change
        time.sleep(POLL_SECONDS)


def _standing(queue: Queue, runs: Runs, run: str) -> Standing | None:
    """None also while the database is away: then its files tell."""
    try:
        return queue.standing(runs.database, run)
    except Failed:
        return None


def _unbegun(runs: Runs, run: str) -> dict[str, object]:
    """How it ended before it began."""
    job = runs.job(run)
    state = job.state if job is not None else "died"
    return {"state": state, "ended": None, "error": job.error if job is not None else None}
