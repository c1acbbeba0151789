"""The adapters at one running vLLM server: which are wanted, which are listed, which failed.

Hot-loading follows what was found by running vLLM 0.32: an adapter is read from a private copy
that stays while it is listed; nothing is loaded in place; unloading only takes the name away, so
it is done when room is needed, to the one that was unused longest, and never at a swap.
"""

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from llmops.errors import Failed, LlmopsError
from llmops.serving import readiness
from llmops.serving.copies import Copies
from llmops.serving.readiness import Report
from llmops.serving.served import Served

if TYPE_CHECKING:
    import httpx

Check = Callable[["httpx.Client", Served], None]


class Adapters:
    """problems: why a version is not loaded, by name; loaded: when each version that was checked
    was in use last, by name (monotonic seconds)."""

    def __init__(
        self, copies: Copies, check: Check, report: Report, on_change: Callable[[], None]
    ) -> None:
        """check: raises Failed for a version that is not what was registered."""
        self.problems: dict[str, LlmopsError] = {}
        self.loaded: dict[str, float] = {}
        self._wanted: dict[str, Served] = {}
        self._listed: dict[str, Path] = {}
        self._copies = copies
        self._check = check
        self._report = report
        self._on_change = on_change

    def want(self, adapters: Iterable[Served]) -> bool:
        """What is to be loaded from now on; whether that is news. A version that failed is tried
        again once it was not wanted in between."""
        wanted = {one.name: one for one in adapters}
        for name in self.problems.keys() - wanted.keys():
            del self.problems[name]
        changed = wanted.keys() != self._wanted.keys()
        self._wanted = wanted
        return changed

    @property
    def wanted(self) -> tuple[Served, ...]:
        """What is wanted and did not fail."""
        return tuple(one for name, one in self._wanted.items() if name not in self.problems)

    @property
    def missing(self) -> tuple[Served, ...]:
        """What is yet to be loaded and checked."""
        return tuple(one for one in self.wanted if one.name not in self.loaded)

    def touch(self, names: Iterable[str]) -> None:
        """These are in use now."""
        now = time.monotonic()
        for name in names:
            if name in self.loaded:
                self.loaded[name] = now

    def listed_at_start(self, copies: dict[str, Path], adapters: Iterable[Served]) -> None:
        """The server was started anew, with these on its command line; what it had listed besides
        is read by nobody any more."""
        self.loaded.clear()
        before = self._listed.values()
        self._listed = {one.name: copies[one.name] for one in adapters}
        for copy in set(before) - set(self._listed.values()):
            self._copies.remove(copy)

    def forget(self) -> None:
        """The server is gone for good: remove the copies."""
        for copy in self._listed.values():
            self._copies.remove(copy)
        self._listed.clear()
        self.loaded.clear()

    def check(self, client: "httpx.Client", one: Served) -> None:
        """Whether a version that is listed is what was registered. Raises Failed."""
        self._check(client, one)
        self.loaded[one.name] = time.monotonic()
        self._on_change()

    def settle(
        self, client: "httpx.Client", one: Served, room: int, alive: Callable[[], bool]
    ) -> None:
        """Load and check one version; what fails is told in `problems`, and taken off again.

        Raises LlmopsError only when the server is not `alive` any more: that is its own problem.
        """
        try:
            if one.name not in self._listed:
                self._make_room(client, room)
                copy = self._copies.make([one])[one.name]
                readiness.load_adapter(client, one.name, str(copy))
                self._listed[one.name] = copy
            self.check(client, one)
        except LlmopsError as error:
            if not alive():
                raise
            self.problems[one.name] = error
            if one.name in self._listed:
                self._unlist(client, one.name)
            self._on_change()

    def _make_room(self, client: "httpx.Client", room: int) -> None:
        """Take off those that were unused longest, until one more fits."""
        while len(self._listed) >= room:
            busy = readiness.adapters_under_way(client)
            free = self._listed.keys() - self._wanted.keys() - busy
            if not free:
                return  # vLLM makes room itself, and reads the evicted one again when it is asked
            self._unlist(client, min(free, key=lambda name: self.loaded.get(name, 0.0)))

    def _unlist(self, client: "httpx.Client", name: str) -> None:
        self.loaded.pop(name, None)
        copy = self._listed.pop(name)
        self._on_change()
        try:
            readiness.unload_adapter(client, name)
        except Failed as error:
            self._report(f"warning: {name} could not be unloaded: {error.what}")
        else:
            self._copies.remove(copy)
