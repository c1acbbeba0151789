"""The single fields of a feedback event, each checked: acceptance.py puts the event together.

Every refusal names the field and says what is expected of it; none repeats what a client sent,
except the name of an unknown key.
"""

import math
import re
import uuid
from datetime import datetime
from typing import Any

TEXT_BYTES = 64 << 10
USER_BYTES = 256
_SCALE = (1.0, 5.0)
_SCALE_LIMIT = 1e6
_EVENT_ID = re.compile(r"[!-~]{1,64}")
_EVENT_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.:-]{0,63}")
_SOURCE = re.compile(r"simulated:[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


class Refused(Exception):
    """The event is not taken. status: the HTTP status; param: the key that is at fault, if one is.

    400: it is no feedback event. 403: the id is not one that this deployment gave. 410: the time
    in which that answer could be rated is over.
    """

    def __init__(self, status: int, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.param = param


def number(value: Any, param: str) -> float:
    """A finite number; a boolean is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Refused(400, f"`{param}` must be a number", param)
    try:
        given = float(value)
    except OverflowError:
        given = math.inf
    if not math.isfinite(given):
        raise Refused(400, f"`{param}` must be a finite number", param)
    return given


def scale(given: Any) -> tuple[float, float]:
    """The lowest and the highest value of a rating; 1 to 5 when the client does not say."""
    if given is None:
        return _SCALE
    if not isinstance(given, list) or len(given) != 2:
        raise Refused(400, "`scale` must be a list of two numbers, lowest and highest", "scale")
    low, high = (number(end, "scale") for end in given)
    if not -_SCALE_LIMIT <= low < high <= _SCALE_LIMIT:
        raise Refused(400, "`scale` must run from a lower to a higher number, below 1e6", "scale")
    return low, high


def text(body: dict[str, Any], key: str, limit: int) -> str:
    """A text that says something, of at most `limit` bytes of UTF-8."""
    text = body[key]
    if not isinstance(text, str) or not text.strip():
        raise Refused(400, f"`{key}` must be a text", key)
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise Refused(400, f"`{key}` holds half of a surrogate pair", key) from None
    if size > limit:
        raise Refused(400, f"`{key}` is of {size} bytes, more than {limit}", key)
    return text


def event_name(given: Any) -> str:
    """The name of an engagement or a metric."""
    if not isinstance(given, str) or not _EVENT_NAME.fullmatch(given):
        expected = "a letter, then letters, digits, `_`, `.`, `:` and `-`, at most 64 in all"
        raise Refused(400, f"`name` must be {expected}", "name")
    return given


def event_id(body: dict[str, Any], inference: str) -> str:
    """The client's name for the event with the answer that it is about, or one made here."""
    given = body.get("event_id")
    if given is None:
        return uuid.uuid4().hex
    if not isinstance(given, str) or not _EVENT_ID.fullmatch(given):
        expected = "1 to 64 letters, digits and signs of ASCII, without spaces"
        raise Refused(400, f"`event_id` must be {expected}", "event_id")
    return f"{given}@{inference}"


def source(body: dict[str, Any]) -> str | None:
    """What made the event, when it was no person."""
    given = body.get("source")
    if given is None:
        return None
    if not isinstance(given, str) or not _SOURCE.fullmatch(given):
        raise Refused(400, "`source` can only be `simulated:NAME`", "source")
    return given


def time(body: dict[str, Any], detail: dict[str, Any], made: float, now: float) -> int:
    """When the event happened, in milliseconds since 1970; what the client said goes into `detail`
    when it cannot be so. made, now: when the answer was made and the event received, in seconds."""
    given = body.get("time")
    if given is None:
        return round(now * 1000)
    try:
        if not isinstance(given, str) or len(given) > 64:
            raise ValueError
        said = datetime.fromisoformat(given)
        if said.tzinfo is None:
            raise ValueError
        seconds = said.timestamp()
    except (ValueError, OverflowError):
        expected = "ISO 8601 with its zone, such as 2026-01-31T12:00:00Z"
        raise Refused(400, f"`time` must be {expected}", "time") from None
    if not made <= seconds <= now:
        detail["time"] = given
    return round(min(max(seconds, made), now) * 1000)


def shown(text: str) -> str:
    """The beginning of a client's text, for an error that can be printed anywhere."""
    return text[:64].encode("ascii", "replace").decode()
