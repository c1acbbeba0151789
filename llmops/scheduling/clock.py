"""The clock that all of scheduling reads. Tests hand in one that they move."""

import threading
import time
from typing import Protocol


class Clock(Protocol):
    """now: seconds since 1970, UTC; it may step back, as a machine's clock does. wait: until the
    event is set or so many seconds have passed; True when it is set."""

    def now(self) -> float: ...

    def wait(self, event: threading.Event, seconds: float) -> bool: ...


class SystemClock:
    """The machine's own. Waiting is not moved by steps of the clock."""

    def now(self) -> float:
        return time.time()

    def wait(self, event: threading.Event, seconds: float) -> bool:
        return event.wait(seconds)


def millis(seconds: float) -> int:
    """Seconds as the database keeps times: milliseconds."""
    return round(seconds * 1000)
