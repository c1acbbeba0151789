"""How long a part that ended waits until it is started again."""

FIRST = 1.0
LONGEST = 60.0
HEALTHY = 60.0
"""Seconds of health after which an end counts as the first one."""


class Backoff:
    """Doubles from FIRST to LONGEST seconds; begins anew after HEALTHY seconds of health."""

    def __init__(self) -> None:
        self._next = FIRST

    def delay(self, healthy: float) -> float:
        """Seconds until the next start. healthy: how long it was well before it ended."""
        if healthy >= HEALTHY:
            self._next = FIRST
        delay, self._next = self._next, min(self._next * 2, LONGEST)
        return delay
