"""Being told to end: what it raises, and what it still means when that was lost.

A signal's handler runs between any two instructions. What it raises within a callback of the
garbage collector is printed and dropped by Python (SQLAlchemy has such callbacks), so a run looks
again where it is about to begin something (`heed`).
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from llmops.errors import Interrupted
from llmops.store.signals import endings, handling

_told = threading.Event()
"""Of this process, as signals are."""


@contextmanager
def termination_as_interrupt() -> Iterator[None]:
    """SIGTERM and a closed terminal end a run as Ctrl-C does: in order, and on record."""

    def interrupt(number: int, _frame: object) -> None:
        _told.set()
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        heed()

    heard = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # else: behind nohup
    try:
        with handling(interrupt, *([signal.SIGINT] if heard else []), *endings()):
            yield
    finally:
        _told.clear()


def heed() -> None:
    """Raises Interrupted when this process was told to end."""
    if _told.is_set():
        raise Interrupted("terminated; the stages that were done are kept")
