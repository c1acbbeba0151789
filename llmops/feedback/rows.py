"""From a record of the journal to a row of the database, and back.

A row is a tuple in the order of the table's columns (store/tables.py). Texts are made storable by
both databases: PostgreSQL takes no NUL and no lone surrogate, so both become U+FFFD. What cannot
be a row is `Unreadable`, with the reason; odd optional figures of an upstream are left out.
"""

import json
import math
import re
from collections.abc import Mapping
from typing import Any

import orjson

from llmops.feedback.records import FORMAT
from llmops.store.digest import sha256_text

Row = tuple[Any, ...]
INFERENCE_COLUMNS = (
    *("id", "time", "deployment", "variant", "version", "generation", "unit", "user", "session"),
    *("endpoint", "stream", "prompt_hash", "messages", "parameters", "choices", "response"),
    *("prompt_tokens", "completion_tokens", "first_token_ms", "total_ms", "finish", "status"),
    *("error", "group_id", "position", "source", "redacted"),
)
FEEDBACK_COLUMNS = (
    *("id", "time", "received", "deployment", "inference", "other", "kind", "name", "value"),
    *("choice", "text", "detail", "user", "source", "redacted"),
)
_INT = 2**31 - 1
_SURROGATE = re.compile("[\ud800-\udfff]")


class Unreadable(ValueError):
    """A line that makes no row; says why."""


class Newer(Unreadable):
    """A line that a newer llmops wrote."""


def parse(line: bytes) -> dict[str, Any]:
    """One line of a journal or of an export. Raises Unreadable."""
    try:
        found = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        found = _parse_leniently(line, error)
    if not isinstance(found, dict):
        raise Unreadable("not a JSON object")
    version = found.get("format", FORMAT)
    if version != FORMAT:
        raise Newer(f"format {version!r} is not known to this llmops")
    return found


def _parse_leniently(line: bytes, error: orjson.JSONDecodeError) -> Any:
    """Nesting beyond orjson's depth is readable, and so are escaped lone surrogates, which other
    writers leave where they cut a text."""
    try:
        text = json.dumps(json.loads(line), ensure_ascii=False, allow_nan=False)
        return json.loads(_SURROGATE.sub("\ufffd", text))
    except (ValueError, RecursionError):
        raise Unreadable(f"not JSON: {error.msg}") from None


def canonical(value: Any) -> str:
    """The one JSON text of a chat: keys sorted, no spaces, not escaped beyond need.

    prompt_hash is the sha256 of it. Raises Unreadable.
    """
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
    except orjson.JSONEncodeError:
        pass  # nested deeper than orjson writes, or a number beyond 64 bits
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"cannot be kept as JSON: {error}") from None


def loaded(text: str | None) -> Any:
    """What `canonical` wrote."""
    if text is None:
        return None
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return json.loads(text)


def inference_row(record: Mapping[str, Any]) -> Row:
    """A row of `inferences`, from an InferenceRecord. Raises Unreadable."""
    get = record.get
    messages = get("messages")
    if messages is None and get("prompt") is not None:
        messages = [{"role": "user", "content": get("prompt")}]
    prompt = None if messages is None else canonical(messages)
    choices = get("choices") or []
    first = choices[0] if isinstance(choices, list) and choices else {}
    if not isinstance(first, dict):
        raise Unreadable("`choices` is no list of objects")
    return (
        _required(record, "id", 64),
        _integer(record, "time", 2**62),
        _required(record, "deployment"),
        _text(get("variant")) or "",
        _required(record, "version"),
        _integer(record, "generation", default=0),
        _text(get("unit")) or "",
        _text(get("user"), 32),
        _text(get("session"), 32),
        _text(get("endpoint"), 16) or "chat",
        bool(get("stream")),
        "" if prompt is None else sha256_text(prompt),
        prompt,
        _json(get("parameters")),
        _json(get("choices")),
        _text(first.get("text")),
        _count(get("prompt_tokens")),
        _count(get("completion_tokens")),
        _number(get("first_token_ms")),
        _number(get("total_ms")),
        _text(first.get("finish_reason") or get("finish"), 32),
        _integer(record, "status", default=200),
        _text(get("error")),
        _text(get("group"), 64),
        _count(get("position")),
        _text(get("source")),
        _count(get("redacted"), 2**62),
    )


def feedback_row(record: Mapping[str, Any], received: int) -> Row:
    """A row of `feedback`, from a FeedbackRecord. received: when it was ingested, milliseconds.

    Raises Unreadable.
    """
    get = record.get
    return (
        _required(record, "id", 128),
        _integer(record, "time", 2**62),
        received,
        _required(record, "deployment"),
        _required(record, "inference", 64),
        _text(get("other"), 64),
        _required(record, "kind", 16),
        _text(get("name")),
        _number(get("value")),
        _text(get("choice"), 16),
        _text(get("text")),
        _json(get("detail")),
        _text(get("user"), 32),
        _text(get("source")),
        _count(get("redacted"), 2**62),
    )


def inference_record(row: Mapping[Any, Any]) -> dict[str, Any]:
    """The InferenceRecord that a row came from, as far as it is kept; of an erased one, `redacted`
    says when it was, and `finish` how it had ended."""
    same = {key: row[key] for key in INFERENCE_COLUMNS if key not in _REWRITTEN}
    messages, chat = loaded(row["messages"]), row["endpoint"] != "completions"
    prompt = None if chat or not messages else messages[0]["content"]
    return {
        "format": FORMAT,
        "type": "inference",
        **same,
        "stream": bool(row["stream"]),
        "messages": messages if chat else None,
        "prompt": prompt,
        "parameters": loaded(row["parameters"]),
        "choices": loaded(row["choices"]),
        "group": row["group_id"],
        **({} if row["redacted"] is None else {"finish": row["finish"]}),
    }


def feedback_record(row: Mapping[Any, Any]) -> dict[str, Any]:
    """The FeedbackRecord that a row came from."""
    same = {key: row[key] for key in FEEDBACK_COLUMNS if key not in ("detail", "received")}
    return {"format": FORMAT, "type": "feedback", **same, "detail": loaded(row["detail"])}


_REWRITTEN = {
    *("stream", "prompt_hash", "messages", "parameters", "choices", "response", "finish"),
    "group_id",
}


def _required(record: Mapping[str, Any], key: str, limit: int | None = None) -> str:
    value = record.get(key)
    if not isinstance(value, str) or not value:
        raise Unreadable(f"`{key}` is missing, or no text")
    if limit is not None and len(value) > limit:
        raise Unreadable(f"`{key}` is longer than {limit} characters")
    return value.replace("\0", "\ufffd") if "\0" in value else value


def _integer(
    record: Mapping[str, Any], key: str, limit: int = _INT, default: int | None = None
) -> int:
    value = record.get(key, default)
    if type(value) is not int or not -limit <= value <= limit:
        raise Unreadable(f"`{key}` is missing, or no whole number in range")
    return value


def _text(value: Any, limit: int | None = None) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        value = canonical(value)
    if "\0" in value:
        value = value.replace("\0", "\ufffd")
    return str(value[:limit]) if limit is not None and len(value) > limit else str(value)


def _json(value: Any) -> str | None:
    return None if value is None else canonical(value)


def _count(value: Any, limit: int = _INT) -> int | None:
    return value if type(value) is int and -limit <= value <= limit else None


def _number(value: Any) -> float | None:
    if isinstance(value, bool | int | float) and math.isfinite(value):
        return float(value)
    return None
