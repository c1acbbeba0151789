"""Moments in requests: `7d` (ago) or ISO 8601; in the database milliseconds since 1970."""

import re
import time
from datetime import datetime
from typing import Annotated

from fastapi import Depends, Query

from llmops.errors import BadInput
from llmops.spec.grammar import seconds

_FOREVER = 1e12
"""Seconds: more than calendars and databases take."""


def moment(text: str) -> int:
    """Milliseconds since 1970. Raises BadInput."""
    try:
        if re.fullmatch(r"[0-9]+(\.[0-9]+)?[smhdw]", text):
            found = time.time() - seconds(text)
        else:
            found = datetime.fromisoformat(text).astimezone().timestamp()
        if abs(found) < _FOREVER:
            return int(found * 1000)
    except (ValueError, OverflowError):
        pass
    shown = text[:40].encode("ascii", "replace").decode()
    fix = "write 7d, 24h, 30m, or 2026-01-31T12:00"
    raise BadInput(f"`{shown}` is no time", where="since", fix=fix)


def _since(
    since: Annotated[
        str | None,
        Query(
            max_length=64, description="only from then on: 7d, 24h, or ISO 8601", examples=["7d"]
        ),
    ] = None,
) -> int | None:
    return None if since is None else moment(since)


SinceAsked = Annotated[int | None, Depends(_since)]
