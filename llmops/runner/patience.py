"""How long a run waits for evidence that has yet to come, before it ends as `waiting`."""

import time
from dataclasses import dataclass

BACK_OFF = 10.0
"""Seconds until the first retry; three times as long until each further one, up to LONGEST."""
LONGEST = 600.0
POLL_SECONDS = 5.0
REST = 9
"""Times as long as a look took until the next: looking costs at most a tenth of the time, however
long the log has become."""


def pauses(retries: int) -> list[float]:
    """Seconds before each retry."""
    return [min(BACK_OFF * 3**number, LONGEST) for number in range(retries)]


@dataclass
class Patience:
    """seconds: how long in all (0: not at all; None: until it is interrupted); every: seconds
    between two looks, at least. The clock starts with the first wait."""

    seconds: float | None = 0.0
    every: float = POLL_SECONDS
    _until: float | None = None
    _took: float = 0.0

    def looked(self, seconds: float) -> None:
        """How long the last look took."""
        self._took = seconds

    @property
    def interval(self) -> float:
        """Seconds until the next look."""
        return max(self.every, REST * self._took)

    def pause(self) -> bool:
        """Wait for the next look. False, at once, when the patience is at its end."""
        if self.seconds is None:
            time.sleep(self.interval)
            return True
        if self._until is None:
            self._until = time.monotonic() + self.seconds
        left = self._until - time.monotonic()
        if left <= 0:
            return False
        time.sleep(min(self.interval, left))
        return True
