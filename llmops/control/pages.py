"""Lists in parts: `?limit=` of at most 200, `?after=` what the part before ended with."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Query

T = TypeVar("T")
DEFAULT, MOST = 50, 200


@dataclass(frozen=True)
class Place:
    """Which part of a list is asked for. after: opaque to clients; None: from the beginning."""

    limit: int
    after: str | None


def _place(
    limit: Annotated[int, Query(ge=1, le=MOST, description="how many at most")] = DEFAULT,
    after: Annotated[
        str | None, Query(max_length=512, description="`next` of the part before")
    ] = None,
) -> Place:
    return Place(limit, after)


PlaceAsked = Annotated[Place, Depends(_place)]


def cut(found: Iterable[T], place: Place, key: str) -> dict[str, Any]:
    """The first `limit` of what follows, as the body of an answer. found: what comes after
    `place.after`, lazily; key: the field by which a part ends."""
    items = list(islice(found, place.limit + 1))
    more = len(items) > place.limit
    items = items[: place.limit]
    return {"items": items, "next": _field(items[-1], key) if more else None}


def numbered(found: Sequence[T], place: Place) -> dict[str, Any]:
    """A part of a sequence that only grows at its end; its place is the number of the item."""
    from llmops.errors import BadInput

    begin = 0
    if place.after is not None:
        if not place.after.isascii() or not place.after.isdigit() or len(place.after) > 18:
            raise BadInput(
                f"`{place.after[:80]}` is no place in this list",
                fix="pass `next` of the part before as `after`",
            )
        begin = int(place.after)
    items = found[begin : begin + place.limit]
    end = begin + len(items)
    return {"items": list(items), "next": str(end) if end < len(found) else None}


def _field(item: Any, key: str) -> str:
    return str(item[key] if isinstance(item, dict) else getattr(item, key))
