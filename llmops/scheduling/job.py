"""`python -m llmops.scheduling.job ID TRY`: the process of one run, started by a dispatcher in the
project's root.

It takes the job, plans and runs as `llmops run` does, and says how that ended in the holder's
file. Taken by another, or stopped, it ends at once. SIGTERM ends it in order, as Ctrl-C does.
"""

import os
import sys
import time
import traceback
from pathlib import Path

from llmops.errors import Failed, GateRefused, Interrupted, LlmopsError
from llmops.runner.devices import needed
from llmops.runner.progress import reporter
from llmops.runner.record import RunRecord, read_run
from llmops.runner.run_log import Asked
from llmops.runner.stage import Context
from llmops.runner.start import resume_run, start_run
from llmops.runner.termination import termination_as_interrupt
from llmops.scheduling.holder import Hold, holding
from llmops.scheduling.jobs import Job
from llmops.spec.settings import Settings, load_settings
from llmops.stages.catalog import KINDS
from llmops.store import logs
from llmops.store.paths import ProjectPaths

PATIENCE_SECONDS = 30.0
"""How long it tries to reach the database; its lease is longer."""


def main(job_id: str, tries: int) -> int:
    """The exit code: as `llmops run`'s; nobody but a person at a terminal reads it."""
    try:
        with termination_as_interrupt():
            settings = load_settings()
            job = _taken(settings, job_id, tries)
            if job is None:
                logs.say(f"run {job_id}: another process has it, or it was stopped")
                return 0
            paths = ProjectPaths(settings.root).run(job_id)
            devices = needed(read_run(paths), job.devices)
            with holding(paths, tries=tries, devices=devices) as hold:
                return _carried_out(job, settings, hold)
    except LlmopsError as error:
        logs.say_error(error)
        return error.exit_code


def _taken(settings: Settings, job_id: str, tries: int) -> Job | None:
    """The job, which this process has from now on; None when it is not to be had."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return _take(settings, job_id, tries)
        except Failed as error:
            if time.monotonic() > deadline:
                raise
            logs.say_error(error)
            time.sleep(1.0)


def _take(settings: Settings, job_id: str, tries: int) -> Job | None:
    from llmops.scheduling.clock import millis
    from llmops.scheduling.jobs import change, find
    from llmops.store.database import open_database, writing

    database = open_database(settings)
    try:
        with writing(database) as connection:
            job = find(connection, job_id)
            if job is None or (job.state, job.tries) != ("starting", tries):
                return None
            # The lease stays: the holder's file has yet to be written.
            values = {"state": "running", "pid": os.getpid(), "started": millis(time.time())}
            return job if change(connection, job, **values) else None
    finally:
        database.dispose()


def _carried_out(job: Job, settings: Settings, hold: Hold) -> int:
    try:
        if ProjectPaths(settings.root).run(job.id).stop.exists():
            raise Interrupted("stopped before it began")
        record = _run(job, Context(settings))
    except LlmopsError as error:
        logs.say_error(error)
        states = {Interrupted: "interrupted", GateRefused: "refused"}
        hold.end(states.get(type(error), "failed"), str(error))
        return error.exit_code
    except BaseException as error:
        traceback.print_exc()
        hold.end("failed", f"a defect of llmops: {type(error).__name__}: {error}")
        return 1
    hold.end(record.state, None)
    return 0


def _run(job: Job, context: Context) -> RunRecord:
    shown = reporter(sys.stderr)
    if read_run(context.paths.run(job.id)) is not None:
        return resume_run(job.id, context=context, kinds=KINDS, reporter=shown)
    return start_run(
        Path(job.target),
        job.overrides,
        context=context,
        kinds=KINDS,
        reporter=shown,
        scope=job.scope,
        asked=Asked(job.by, job.correlation, job.id),
    )


if __name__ == "__main__":
    logs.set_up("job")
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
