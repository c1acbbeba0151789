"""How long serving waits, and how often it tries again. All in seconds but for `crashes`."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Patience:
    """start: until a backend is healthy, which takes minutes for large models; hang: without an
    answer to a question about its health, before it is ended and started again; drain: for
    answers under way before a backend is stopped on purpose; linger: how long a base stays loaded
    after its last variant left it; crashes: in a row, before it is given up; steady: after so
    long without a crash the count starts anew; delay, longest_delay: before the first new start,
    and before any."""

    start: float = 1800.0
    still: float = 10.0
    hang: float = 60.0
    drain: float = 30.0
    linger: float = 60.0
    crashes: int = 5
    steady: float = 60.0
    delay: float = 1.0
    longest_delay: float = 60.0
