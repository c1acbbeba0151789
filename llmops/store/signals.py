"""Signals that mean something else for a while."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

Handler = Callable[[int, FrameType | None], object]


def endings() -> tuple[signal.Signals, ...]:
    """What asks a process to end, other than Ctrl-C: also that its terminal was closed, unless it
    was started to outlive that (nohup)."""
    if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
        return (signal.SIGTERM,)
    return (signal.SIGTERM, signal.SIGHUP)


@contextmanager
def handling(handler: Handler, *numbers: signal.Signals) -> Iterator[bool]:
    """Within the block these signals go to `handler`. Whether they do: only the main thread can
    handle signals, in others they are left as they are."""
    if threading.current_thread() is not threading.main_thread():
        yield False
        return
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield True
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)
