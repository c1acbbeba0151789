"""What many pages ask about the same run, asked once: figures and logs only grow, so that each
second only what is new crosses over.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from llmops.ui.client import Api, segment

FRESH_SECONDS = 0.6
LOG_CHARACTERS = 40_000
MOST_RUNS = 64
"""Stages that are remembered at once."""


@dataclass
class Growing:
    """One stage's figures or log. at: when it was last asked; drawn: the figures as a page shows
    them, until there are more."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    at: float = float("-inf")
    items: list[dict[str, Any]] = field(default_factory=list)
    total: int = 0
    finished: bool = False
    drawn: str | None = None
    text: str = ""
    offset: int | None = None


class Watch:
    """Of one process; what one person may not see, another's key does not show them."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[Any, ...], Growing] = OrderedDict()

    async def metrics(self, api: Api, run: str, stage: str, attempt: int) -> Growing:
        """items: as of GET /runs/ID/stages/STAGE/metrics, all of them; total, finished."""

        async def ask(known: Growing) -> None:
            after = known.items[-1]["step"] if known.items else None
            found = await api.get(
                f"/runs/{segment(run)}/stages/{segment(stage)}/metrics", after=after
            )
            if _join(known.items, found.get("items") or []):
                known.drawn = None
            known.total = int(found.get("total") or 0)
            known.finished = bool(found.get("finished"))

        return await self._grown(("metrics", api.key, run, stage, attempt), ask)

    async def log(self, api: Api, run: str, stage: str, attempt: int) -> Growing:
        """text: the end of the stage's log."""

        async def ask(known: Growing) -> None:
            offset = -LOG_CHARACTERS // 2 if known.offset is None else known.offset
            found = await api.get(
                f"/runs/{segment(run)}/stages/{segment(stage)}/log", offset=offset
            )
            known.text = (known.text + str(found.get("text") or ""))[-LOG_CHARACTERS:]
            known.offset = int(found.get("offset") or 0)

        return await self._grown(("log", api.key, run, stage, attempt), ask)

    async def _grown(
        self, key: tuple[Any, ...], ask: Callable[[Growing], Awaitable[None]]
    ) -> Growing:
        known = self._known.setdefault(key, Growing())
        self._known.move_to_end(key)
        while len(self._known) > MOST_RUNS:
            self._known.popitem(last=False)
        async with known.lock:
            if time.monotonic() - known.at >= FRESH_SECONDS:
                await ask(known)
                known.at = time.monotonic()
        return known


def _join(items: list[dict[str, Any]], new: list[dict[str, Any]]) -> bool:
    """An evaluation is told after the step that it is of: it joins that step's figures. Whether
    there was anything new."""
    for item in new:
        if items and items[-1]["step"] == item["step"]:
            items[-1].update({key: value for key, value in item.items() if value is not None})
        else:
            items.append(dict(item))
    return bool(new)
