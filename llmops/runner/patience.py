"""How long a run waits for evidence that has yet to come, before it ends as `waiting`."""

import time
from dataclasses import dataclass

POLL_SECONDS = 5.0


@dataclass
class Patience:
    """seconds: how long in all (0: not at all; None: until it is interrupted); every: seconds
    between two looks. The clock starts with the first wait."""

    seconds: float | None = 0.0
    every: float = POLL_SECONDS
    _until: float | None = None

    def pause(self) -> bool:
        """Wait for the next look. False, at once, when the patience is at its end."""
        if self.seconds is None:
            time.sleep(self.every)
            return True
        if self._until is None:
            self._until = time.monotonic() + self.seconds
        left = self._until - time.monotonic()
        if left <= 0:
            return False
        time.sleep(min(self.every, left))
        return True
