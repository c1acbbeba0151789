"""Answers that take long to find: told from memory, and found anew in the background.

So that whoever looks at a page every two seconds costs nothing, however large the log is: asking
takes a tenth of the time at most.
"""

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from llmops.errors import LlmopsError

T = TypeVar("T")
REST = 9
"""Times as long as asking took until it is asked again, at least."""


class Remembered(Generic[T]):
    """What `ask` finds. least: seconds for which an answer is good, at least."""

    def __init__(self, ask: Callable[[], T], least: float) -> None:
        self._ask = ask
        self._least = least
        self._asking = threading.Lock()
        self._known: tuple[T] | None = None
        self._failed: LlmopsError | None = None
        self._until = 0.0

    def get(self) -> T:
        """The first time as long as asking takes, then at once. Raises what `ask` raises, the first
        time; later the last answer is kept."""
        if self._known is None:
            with self._asking:
                if self._known is None:
                    self._renew()
        else:
            self._ask_again()
        assert self._known is not None
        return self._known[0]

    def soon(self, until_then: T) -> T:
        """At once; `until_then` while it is asked for the first time. Raises what `ask` raised, as
        long as it has never worked."""
        self._ask_again()
        if self._known is None and self._failed is not None:
            raise self._failed
        return self._known[0] if self._known is not None else until_then

    def _ask_again(self) -> None:
        if time.monotonic() >= self._until and self._asking.acquire(blocking=False):
            threading.Thread(target=self._in_the_background, daemon=True).start()

    def _in_the_background(self) -> None:
        try:
            self._renew()
        except LlmopsError as error:
            self._failed = error
            self._until = time.monotonic() + self._least
        finally:
            self._asking.release()

    def _renew(self) -> None:
        first, began = self._known is None, time.monotonic()
        self._known = (self._ask(),)
        now = time.monotonic()
        # Imports and cold caches were in the first time: it does not tell how long asking takes.
        self._until = now + max(self._least, 0.0 if first else REST * (now - began))
