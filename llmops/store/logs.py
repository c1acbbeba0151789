"""What processes say: lines for people, or one JSON object a line for machines.

`LLMOPS_LOG_FORMAT=json`, or `llmops --log-format json COMMAND`, which its children inherit. An
object has `time` (ISO 8601, UTC), `level`, `part` (the command), `message`, and `correlation`: the
id that ties a request (X-Request-Id), the run that it asked for and the engine's log together.
While a stage runs, each also has its `run`, `stage` and `attempt`, whoever says it.
What engines and backends say themselves stays as they say it.
"""

import contextlib
import json
import logging
import math
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from llmops.errors import LlmopsError

FORMAT = "LLMOPS_LOG_FORMAT"
CORRELATION = "LLMOPS_CORRELATION_ID"
FORMATS = ("text", "json")
FIELDS = ("method", "path", "status", "seconds", "run", "stage")
"""What a record of `logging` may carry besides, by `extra`."""

correlation: ContextVar[str] = ContextVar("correlation", default="")
"""Of the request that is being answered; elsewhere it is the process's own."""

_bound: ContextVar[Mapping[str, Any]] = ContextVar("bound", default=MappingProxyType({}))

_part = ""


def is_json() -> bool:
    return os.environ.get(FORMAT) == "json"


def current() -> str:
    """The correlation id of what is done here; empty when nobody asked for it by one."""
    return correlation.get() or os.environ.get(CORRELATION, "")


@contextlib.contextmanager
def bound(**fields: Any) -> Iterator[None]:
    """Within the block every object has these fields besides."""
    token = _bound.set({**_bound.get(), **fields})
    try:
        yield
    finally:
        _bound.reset(token)


def line(message: str, *, level: str = "info", time: float | None = None, **fields: Any) -> str:
    """One JSON object. time: seconds since 1970 (default: now); fields that are None, or no number
    that JSON knows (NaN), are left out."""
    at = datetime.now(UTC) if time is None else datetime.fromtimestamp(time, UTC)
    told = {
        "time": at.isoformat(timespec="milliseconds"),
        "level": level,
        "part": _part,
        "message": message,
        "correlation": current() or None,
        **_bound.get(),
        **{key: value for key, value in fields.items() if value is not None},
    }
    return json.dumps({k: v for k, v in told.items() if _is_told(v)}, ensure_ascii=False)


def _is_told(value: Any) -> bool:
    return value is not None and not (isinstance(value, float) and not math.isfinite(value))


def say(message: str) -> None:
    """To standard error, in the format that is asked for."""
    print(line(message) if is_json() else message, file=sys.stderr, flush=True)


def say_error(error: LlmopsError) -> None:
    """What a user is told; as JSON, where it is and what to do are fields."""
    told = f"error: {error}"
    if is_json():
        where, fix = error.where or None, error.fix or None
        told = line(error.what, level="error", where=where, fix=fix)
    print(told, file=sys.stderr, flush=True)


def said(told: str) -> tuple[str, str]:
    """Level and message of a line that llmops said, in either format; the level is empty where
    the line does not tell."""
    with contextlib.suppress(ValueError):
        found = json.loads(told)
        if isinstance(found, dict):
            return str(found.get("level", "")), str(found.get("message", ""))
    message = told.removeprefix("error: ")
    return "" if message == told else "error", message


def last_error(lines: Sequence[str]) -> str:
    """The last that was said of what is wrong; empty when nothing was."""
    told = map(said, reversed(lines))
    return next((message for level, message in told if level == "error"), "")


class Lines(logging.Formatter):
    """Of `logging`, in the format that is asked for."""

    def format(self, record: logging.LogRecord) -> str:
        if not is_json():
            return super().format(record)
        fields = {name: getattr(record, name, None) for name in FIELDS}
        if record.exc_info:
            fields["error"] = self.formatException(record.exc_info)
        level, message = record.levelname.lower(), record.getMessage()
        return line(message, level=level, time=record.created, logger=record.name, **fields)


def handler() -> logging.Handler:
    """To standard error."""
    made = logging.StreamHandler(sys.stderr)
    made.setFormatter(Lines("%(asctime)s %(levelname)s %(message)s"))
    return made


def set_up(part: str) -> None:
    """Once, as a process begins. part: the command that it is."""
    global _part
    _part = part
    for name, level in (("llmops", logging.INFO), ("uvicorn", logging.ERROR)):
        logger = logging.getLogger(name)
        logger.handlers = [handler()]
        logger.setLevel(level)
