"""`llmops feedback import`: answers and feedback from elsewhere, as JSON lines.

A line is a record as `export` writes it, or less: of an answer `messages` (or `prompt`) and
`response`, of an event `inference` (the answer's id) and `kind` with what the kind needs. What is
left out gets a default; an id is made from the line's content, so importing twice is importing
once. The whole file is checked before anything is written.
"""

import hashlib
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any, get_args

import sqlalchemy as sa

from llmops.errors import BadInput
from llmops.feedback.batch import insert
from llmops.feedback.records import FORMAT, FeedbackKind, FeedbackRecord, InferenceRecord
from llmops.feedback.rows import Row, Unreadable, canonical, feedback_row, inference_row, parse
from llmops.spec.source import display
from llmops.spec.suggest import did_you_mean
from llmops.store.database import writing

BATCH = 5_000
_SHOWN = 10
_MORE = {"user_id", "redacted"}
_KNOWN = {
    "inference": {*InferenceRecord.__annotations__, "response", "finish"} | _MORE,
    "feedback": {*FeedbackRecord.__annotations__} | _MORE,
}
_THUMBS = {"up": 1.0, "down": 0.0, True: 1.0, False: 0.0}
Hide = Callable[[str], str]


@dataclass(frozen=True)
class Defaults:
    """What lines that do not say it get. hide: how a `user_id` is stored (Identity.user)."""

    deployment: str | None
    source: str
    hide: Hide


def import_file(database: sa.Engine, file: Path, defaults: Defaults) -> tuple[int, int, int]:
    """Bring a file in: new answers, new events, and lines that were there already.

    Raises BadInput with the lines that are wrong; then nothing was written.
    """
    now = int(time.time() * 1000)
    with _opened(file) as opened:
        lines = _check(opened, file, defaults, now)
        answers = events = 0
        with writing(database) as connection:
            for rows in _batches(opened, file, defaults, now):
                new = insert(connection, *rows)
                answers, events = answers + new[0], events + new[1]
    return answers, events, lines - answers - events


@contextmanager
def _opened(file: Path) -> Iterator[IO[bytes]]:
    """Read twice, to be checked and to be written; so what cannot be rewound is copied first."""
    with ExitStack() as stack:
        try:
            opened: IO[bytes] = stack.enter_context(file.open("rb"))
            if not opened.seekable():
                copy = stack.enter_context(tempfile.TemporaryFile())
                shutil.copyfileobj(opened, copy)
                opened = copy
        except OSError as error:
            raise _unreadable(file, error) from error
        yield opened


def _unreadable(file: Path, error: OSError) -> BadInput:
    return BadInput(f"cannot be read: {error.strerror}", where=display(file))


def _check(opened: IO[bytes], file: Path, defaults: Defaults, now: int) -> int:
    """How many lines there are. Raises BadInput with those that are wrong."""
    lines = 0
    errors: list[str] = []
    for number, line in _lines(opened, file):
        lines += 1
        try:
            _row(line, defaults, now)
        except Unreadable as error:
            errors.append(f"{display(file)}:{number}: {error}")
    if errors:
        more = f"\n  ... and {len(errors) - _SHOWN} more" if len(errors) > _SHOWN else ""
        raise BadInput(
            f"{len(errors)} of {lines} lines cannot be read; nothing was imported\n  "
            + "\n  ".join(errors[:_SHOWN])
            + more,
            fix="docs/feedback.md shows what a line needs",
        )
    return lines


def _lines(opened: IO[bytes], file: Path) -> Iterator[tuple[int, bytes]]:
    try:
        opened.seek(0)
        for number, line in enumerate(opened, start=1):
            if line.strip():
                yield number, line
    except OSError as error:
        raise _unreadable(file, error) from error


def _batches(
    opened: IO[bytes], file: Path, defaults: Defaults, now: int
) -> Iterator[tuple[list[Row], list[Row]]]:
    answers: list[Row] = []
    events: list[Row] = []
    for _, line in _lines(opened, file):
        kind, row = _row(line, defaults, now)
        (answers if kind == "inference" else events).append(row)
        if len(answers) + len(events) >= BATCH:
            yield answers, events
            answers, events = [], []
    yield answers, events


def _row(line: bytes, defaults: Defaults, now: int) -> tuple[str, Row]:
    record = parse(line)
    kind = record.get("type") or ("feedback" if "kind" in record else "inference")
    if not isinstance(kind, str) or kind not in _KNOWN:
        raise Unreadable(f"type {kind!r} is neither inference nor feedback")
    for key in record:
        if key not in _KNOWN[kind]:
            hint = did_you_mean(key, sorted(_KNOWN[kind]))
            raise Unreadable(f"unknown key `{key}`; {hint}".rstrip("; "))
    record.setdefault("id", f"import-{hashlib.sha256(canonical(record).encode()).hexdigest()[:40]}")
    _common(record, defaults, now)
    if kind == "inference":
        return kind, inference_row(_answer(record))
    return kind, feedback_row(_event(record), now)


def _common(record: dict[str, Any], defaults: Defaults, now: int) -> None:
    record.setdefault("format", FORMAT)
    record.setdefault("source", defaults.source)
    if record.get("deployment") is None:
        if defaults.deployment is None:
            raise Unreadable("`deployment` is missing (or give --deployment)")
        record["deployment"] = defaults.deployment
    at = record.setdefault("time", now)
    if isinstance(at, str):
        try:
            moment = datetime.fromisoformat(at)
        except ValueError:
            raise Unreadable(f"`time` {at!r} is neither ISO 8601 nor milliseconds") from None
        if moment.tzinfo is None:
            raise Unreadable(f"`time` {at!r} has no time zone")
        record["time"] = int(moment.timestamp() * 1000)
    name = record.pop("user_id", None)
    if name is not None:
        if not isinstance(name, str):
            raise Unreadable("`user_id` must be a text")
        record["user"] = defaults.hide(name)
    hashed = record.get("user")
    if hashed is not None and not _is_hashed(hashed):
        raise Unreadable("`user` is a hashed user, as exports have it; write `user_id`")


def _is_hashed(text: Any) -> bool:
    return isinstance(text, str) and len(text) == 32 and not set(text) - set("0123456789abcdef")


def _answer(record: dict[str, Any]) -> dict[str, Any]:
    record.setdefault("version", "imported")
    if record.get("redacted") is not None:
        return record
    if record.get("messages") is None and record.get("prompt") is None:
        raise Unreadable("an answer needs `messages` or `prompt`")
    messages = record.get("messages")
    if messages is not None and not (
        isinstance(messages, list) and all(isinstance(turn, dict) for turn in messages)
    ):
        raise Unreadable("`messages` must be a list of objects with `role` and `content`")
    if messages is None:
        record.setdefault("endpoint", "completions")
    response = record.pop("response", None)
    if response is not None:
        if not isinstance(response, str):
            raise Unreadable("`response` must be a text")
        choice = {"index": 0, "text": response, "finish_reason": record.pop("finish", "stop")}
        record.setdefault("choices", [choice])
    if record.get("choices") is None and record.get("error") is None:
        raise Unreadable("an answer needs `response`, `choices` or `error`")
    return record


def _event(record: dict[str, Any]) -> dict[str, Any]:
    kind, value = record.get("kind"), record.get("value")
    if kind not in get_args(FeedbackKind):
        raise Unreadable(f"`kind` must be one of: {', '.join(get_args(FeedbackKind))}")
    if record.get("redacted") is not None:
        return record
    if kind == "thumbs":
        known = _THUMBS.get(value) if isinstance(value, str | bool) else value
        if known not in (0, 1):
            raise Unreadable("`value` of thumbs must be 1 (up) or 0 (down)")
        record["value"] = float(known)
    elif kind == "rating" and not (isinstance(value, int | float) and 0 <= value <= 1):
        raise Unreadable("`value` of a rating must be a number from 0 to 1")
    elif kind in ("edit", "comment") and not isinstance(record.get("text"), str):
        raise Unreadable(f"`text` of {kind} is missing")
    elif kind in ("choice", "regenerate") and not isinstance(record.get("other"), str):
        raise Unreadable(f"`other` of {kind} is missing: the id of the second answer")
    elif kind in ("engagement", "metric") and not isinstance(record.get("name"), str):
        raise Unreadable(f"`name` of {kind} is missing")
    elif kind == "metric" and not isinstance(value, int | float):
        raise Unreadable("`value` of a metric must be a number")
    if kind == "choice" and record.get("choice") not in ("first", "second", "tie", "both_bad"):
        raise Unreadable("`choice` must be first, second, tie or both_bad")
    return record
