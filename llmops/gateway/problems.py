"""What goes wrong, in the log: a line when it begins, one a minute while it lasts, one when it is
over, instead of one for each request."""

import logging
import time
from dataclasses import dataclass

LOG = logging.getLogger("llmops.gateway")
AGAIN_SECONDS = 60.0


@dataclass
class _Problem:
    told: float
    since_told: int = 0


class Problems:
    """The problems of a process, by key."""

    def __init__(self) -> None:
        self._open: dict[str, _Problem] = {}

    def tell(self, key: str, what: str) -> None:
        """It happened (again)."""
        now = time.monotonic()
        known = self._open.get(key)
        if known is None:
            self._open[key] = _Problem(now)
            LOG.warning("%s", what)
        elif now - known.told < AGAIN_SECONDS:
            known.since_told += 1
        else:
            LOG.warning("%s (%d more since the last line)", what, known.since_told)
            self._open[key] = _Problem(now)

    def over(self, key: str) -> None:
        """It works; said once after a problem. Costs a look-up when there was none."""
        if self._open and key in self._open:
            del self._open[key]
            LOG.warning("%s works again", key)
