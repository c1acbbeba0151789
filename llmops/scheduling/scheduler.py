"""The scheduler: triggers that are due, jobs whose turn it is, notifications; again and again.

Any number of them may run on one database. A database that is away is told once; the scheduler
waits for it and goes on with what has become due meanwhile.

    llmops scheduler            # also a thread of `llmops control`
"""

import threading
import traceback
from collections.abc import Callable
from contextlib import suppress

import sqlalchemy as sa

from llmops.errors import LlmopsError
from llmops.scheduling.clock import Clock, SystemClock, millis
from llmops.scheduling.dispatch import Dispatcher
from llmops.scheduling.forgetting import forget
from llmops.scheduling.notify import Notifier
from llmops.scheduling.signs import Sign
from llmops.scheduling.triggers import Triggers
from llmops.spec.settings import Settings
from llmops.store.database import open_database

EVERY_SECONDS = 1.0
FORGET_SECONDS = 3600.0
LONGEST_SECONDS = 30.0
"""Between two turns while nothing works."""
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
        self._sign = Sign()
        self._told: set[str] = set()
        self._pause = EVERY_SECONDS
        self._forgot = float("-inf")

    def run(self, stop: threading.Event) -> None:
        """Until `stop` is set."""
        database: sa.Engine | None = None
        try:
            while not stop.is_set():
                try:
                    database = database or open_database(self._settings)
                    problems = self.tick(database)
                except Exception as error:
                    problems = _problem(error)
                self._heard(problems)
                self._clock.wait(stop, self._pause)
        finally:
            for part in (self._triggers, self._dispatcher, self._notifier):
                part.close()
            if database is not None:
                with suppress(LlmopsError):
                    self._sign.take(database)
                database.dispose()

    def tick(self, database: sa.Engine) -> dict[str, str]:
        """One turn of all that it does; what went wrong in it, by the kind of problem. A part
        that fails holds up none of the others."""
        parts: tuple[Callable[[], None], ...] = (
            lambda: self._sign.give(database, self._clock.now()),
            lambda: self._fire(database),
            lambda: self._dispatcher.tick(database, self._clock.now()),
            lambda: self._notifier.tick(database),
            lambda: self._forget(database),
        )
        problems: dict[str, str] = {}
        for part in parts:
            try:
                part()
            except Exception as error:
                problems = {**_problem(error), **problems}
        return problems

    def _fire(self, database: sa.Engine) -> None:
        for job in self._triggers.tick(database):
            self._tell(f"queued {job}")

    def _forget(self, database: sa.Engine) -> None:
        now = self._clock.now()
        if not 0 <= now - self._forgot < FORGET_SECONDS and not forget(database, millis(now)):
            self._forgot = now

    def _heard(self, problems: dict[str, str]) -> None:
        """A problem is told once, however often it is met; the next turn comes later each time."""
        for kind in problems.keys() - self._told:
            self._tell(f"the scheduler: {problems[kind]}")
        if self._told and not problems:
            self._tell("the scheduler goes on")
        self._told = set(problems)
        self._pause = min(self._pause * 2, LONGEST_SECONDS) if problems else EVERY_SECONDS


def _problem(error: Exception) -> dict[str, str]:
    """Its text, by its kind. A defect must not end the schedules of a whole project."""
    if not isinstance(error, LlmopsError):
        return {repr(error): "".join(traceback.format_exception(error))}
    # A database that is away says so in many ways, one after the other.
    return {error.what.partition(":")[0]: str(error)}
