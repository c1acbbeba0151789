"""What a test lets the Hub do wrong, and what it counts."""

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass
class Fault:
    """What happens to the next `times` requests of `method` whose path holds `path`.

    status, headers, body: answered instead. cut: the connection is closed after so many bytes of
    the answer. until: nothing is answered before it is set. after: the request is done first, and
    its answer lost. flip: the last byte of the answer is another.
    """

    method: str
    path: str
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    cut: int | None = None
    until: threading.Event | None = None
    after: bool = False
    flip: bool = False
    times: int = 1
    met: threading.Event = field(default_factory=threading.Event)


class Faults:
    """asked: every request as `METHOD path`. sent, received: bytes of content by its id."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.headers: list[Mapping[str, str]] = []
        self.sent: Counter[str] = Counter()
        self.received: Counter[str] = Counter()
        self._faults: list[Fault] = []
        self._guard = threading.Lock()

    def add(self, fault: Fault) -> Fault:
        with self._guard:
            self._faults.append(fault)
        return fault

    def take(self, method: str, path: str, headers: Mapping[str, str]) -> Fault | None:
        """Note a request; the fault that is meant for it."""
        with self._guard:
            self.asked.append(f"{method} {path}")
            self.headers.append(headers)
            for fault in self._faults:
                if fault.method == method and fault.path in path and fault.times:
                    fault.times -= 1
                    fault.met.set()
                    return fault
        return None

    def faults_end(self) -> None:
        """From now on all goes well."""
        with self._guard:
            self._faults.clear()

    def count(self, asked: str) -> int:
        """How many requests began with that, such as `PUT /lfs`."""
        return sum(one.startswith(asked) for one in self.asked)
