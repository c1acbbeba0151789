"""`python -m llmops.scheduling.interim`: works the queue off where no scheduler runs.

`llmops run -d` starts it, in a session of its own, so that what is queued runs without `llmops up`.
It fires no trigger, and ends when nothing is queued and nothing runs, when a scheduler is there, or
when the project has gone.
"""

import subprocess
import sys
import time
from contextlib import suppress

import sqlalchemy as sa
from filelock import FileLock, Timeout

from llmops.errors import LlmopsError
from llmops.scheduling.dispatch import Dispatcher
from llmops.scheduling.halt import halted
from llmops.scheduling.jobs import RUNS, in_order
from llmops.scheduling.scheduler import EVERY_SECONDS, LONGEST_SECONDS
from llmops.scheduling.signs import Sign, at_work
from llmops.spec.settings import Settings, load_settings
from llmops.store import logs
from llmops.store.database import open_database, reading
from llmops.store.paths import ProjectPaths

HANDOVER_SECONDS = 5.0
"""In which one that is about to end has ended."""


def ensure(settings: Settings, database: sa.Engine) -> None:
    """See to it that what is queued starts, and what was answered goes on: where no scheduler does
    it, a process of its own does from now on."""
    with reading(database) as connection:
        if at_work(connection, time.time(), "scheduler"):
            return
    log = ProjectPaths(settings.root).part_log("queue")
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        subprocess.Popen(
            [sys.executable, "-P", "-m", "llmops.scheduling.interim"],
            cwd=settings.root,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ).returncode = 0  # or Popen warns of what still runs


def main() -> int:
    settings = load_settings()
    path = ProjectPaths(settings.root).lock("queue")
    path.parent.mkdir(parents=True, exist_ok=True)
    database = open_database(settings)
    try:
        while True:
            with FileLock(path).acquire(timeout=HANDOVER_SECONDS):
                _work(settings, database)
            # Whoever queued something while the lock was given back relies on this process.
            if not path.parent.is_dir() or not _wanted(database):
                return 0
    except Timeout:
        return 0  # another one works
    finally:
        database.dispose()


def _work(settings: Settings, database: sa.Engine) -> None:
    """Until there is nothing to do. A database that is away is waited for, a project is not."""
    state = ProjectPaths(settings.root).state
    dispatcher, sign, told = Dispatcher(settings), Sign("interim"), ""
    try:
        while state.is_dir():
            pause = EVERY_SECONDS
            try:
                sign.give(database, time.time())
                dispatcher.tick(database, time.time())
                if not _wanted(database):
                    return
            except LlmopsError as error:
                if error.what != told:
                    logs.say_error(error)
                told, pause = error.what, LONGEST_SECONDS
            time.sleep(pause)
    finally:
        dispatcher.close()
        with suppress(LlmopsError):
            sign.take(database)


def _wanted(database: sa.Engine) -> bool:
    """Whether something is queued that may start, or runs, and no scheduler sees to it."""
    with reading(database) as connection:
        if at_work(connection, time.time(), "scheduler"):
            return False
        return bool(in_order(connection, RUNS if halted(connection) else (*RUNS, "queued")))


if __name__ == "__main__":
    logs.set_up("queue")
    sys.exit(main())
