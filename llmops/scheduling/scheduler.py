"""The scheduler: triggers that are due, jobs whose turn it is, notifications; again and again.

Any number of them may run on one database. A database that is away is told once; the scheduler
waits for it and goes on with what has become due meanwhile.

    llmops scheduler            # also a thread of `llmops control`
"""

import threading
import traceback
from collections.abc import Callable

import sqlalchemy as sa

from llmops.errors import LlmopsError
from llmops.scheduling.clock import Clock, SystemClock
from llmops.scheduling.dispatch import Dispatcher
from llmops.scheduling.notify import Notifier
from llmops.scheduling.triggers import Triggers
from llmops.spec.settings import Settings
from llmops.store.database import open_database

EVERY_SECONDS = 1.0
LONGEST_SECONDS = 30.0
"""Between two tries while nothing works."""
Tell = Callable[[str], None]


class Scheduler:
    """One scheduler. tell: takes a line for the log."""

    def __init__(
        self, settings: Settings, clock: Clock | None = None, tell: Tell | None = None
    ) -> None:
        self._settings = settings
        self._clock = clock or SystemClock()
        self._tell = tell or (lambda text: None)
        self._triggers = Triggers(settings, self._clock)
        self._dispatcher = Dispatcher(settings)
        self._notifier = Notifier(settings, self._clock)
        self._told = ""
        self._pause = EVERY_SECONDS

    def run(self, stop: threading.Event) -> None:
        """Until `stop` is set."""
        database: sa.Engine | None = None
        try:
            while not stop.is_set():
                try:
                    if database is None:
                        database = open_database(self._settings)
                    self.tick(database)
                    self._well()
                except LlmopsError as error:
                    self._failed(str(error))
                except Exception:
                    # A defect in one part must not end the schedules of a whole project.
                    self._failed(traceback.format_exc())
                self._clock.wait(stop, self._pause)
        finally:
            self._triggers.close()
            self._dispatcher.close()
            self._notifier.close()
            if database is not None:
                database.dispose()

    def tick(self, database: sa.Engine) -> None:
        """One round of all that it does."""
        for job in self._triggers.tick(database):
            self._tell(f"queued {job}")
        self._dispatcher.tick(database, self._clock.now())
        self._notifier.tick(database)

    def _well(self) -> None:
        if self._told:
            self._tell("the scheduler goes on")
        self._told, self._pause = "", EVERY_SECONDS

    def _failed(self, text: str) -> None:
        """Told once, however often it happens; the next try comes later each time."""
        if text != self._told:
            self._tell(f"the scheduler waits: {text}")
        self._told = text
        self._pause = min(self._pause * 2, LONGEST_SECONDS)
