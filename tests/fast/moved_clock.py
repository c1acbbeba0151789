"""A clock that stands still until a test moves it."""

import threading
import time
from datetime import datetime


class MovedClock:
    """It begins at a time as ISO 8601. Waiting moves it on at once."""

    def __init__(self, begin: str = "2026-11-20T12:00:00+00:00") -> None:
        self._now = datetime.fromisoformat(begin).timestamp()

    def now(self) -> float:
        return self._now

    def wait(self, event: threading.Event, seconds: float) -> bool:
        self._now += seconds
        return event.is_set()

    def move(self, seconds: float) -> None:
        """On, or back."""
        self._now += seconds

    def set(self, time: str) -> None:
        self._now = datetime.fromisoformat(time).timestamp()

    def set_now(self) -> None:
        """To the machine's own time, where something else of the test reads that."""
        self._now = time.time()
