"""The rows of a data file, one after another, whatever its format.

Formats: JSON Lines, JSON (an array, or an object that holds one list), CSV, Parquet and text (a
row for each line, as the engine's loader reads it). JSON Lines, CSV, Parquet and text are
streamed. Values are not judged here (llmops/data/samples.py does).
"""

import csv
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple

FORMATS = ("jsonl", "json", "csv", "parquet", "txt")
_PARQUET_ROWS = 4096
_CELL = 1 << 30
"""Characters of a CSV cell; Python's own limit of 131,072 is less than a long text."""
_ESCAPED = re.compile(r"\\u[dD][89a-fA-F]")
"""Half of a character, which is mostly followed by the other."""
_CONVERSATIONS = frozenset({"messages", "conversations", "history", "chosen", "rejected"})


class RowProblem(Exception):
    """A row that cannot be used. what: what was found; expected: what to do about it.
    number: the row, from 1; line: its line in the file, from 1, where rows have lines."""

    def __init__(self, what: str, expected: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.expected = expected
        self.number: int | None = None
        self.line: int | None = None

    def at(self, number: int, line: int | None) -> "RowProblem":
        self.number, self.line = number, line
        return self


class Row(NamedTuple):
    """One row. number counts from 1; line is None where the format has no lines."""

    number: int
    line: int | None
    value: dict[str, Any]


@dataclass(frozen=True)
class Reading:
    """How a file is to be read. plain: the engine's loader reads the same rows from it."""

    format: str
    plain: bool = True


def reading_of(path: Path) -> Reading:
    """Tell the format by suffix and, for JSON, by content. Raises RowProblem for any other."""
    suffix = path.suffix.lower().lstrip(".")
    plain = path.suffix == f".{suffix}"
    if suffix in ("json", "jsonl", "ndjson"):
        with path.open("rb") as file:
            head = file.read(1 << 16)
        format = _json_form(head)
        marked = head.startswith(b"\xef\xbb\xbf")
        return Reading(format, plain and suffix != "ndjson" and format != "object" and not marked)
    if suffix == "csv":
        # A CSV file has no types: the loader would guess numbers and missing values into text.
        return Reading("csv", plain=False)
    if suffix in ("parquet", "txt"):
        return Reading(suffix, plain)
    shown = f"`.{suffix}`" if suffix else "no suffix"
    raise RowProblem(
        f"{shown} is not a data format", "known: " + ", ".join(f".{name}" for name in FORMATS)
    )


def _json_form(head: bytes) -> str:
    """`array`, `lines` or `object` (one object over the whole file)."""
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"["):
        return "array"
    first, newline, rest = text.partition(b"\n")
    try:
        value = json.loads(first)
    except (ValueError, RecursionError):
        # A first line longer than the head is a row; `{` and little else opens an object.
        opens = (newline and first.strip() in (b"{", b"")) or first.rstrip().endswith((b"[", b"{"))
        return "object" if opens else "lines"
    alone = not rest.strip()
    return "object" if alone and isinstance(value, dict) and _only_list(value) else "lines"


def _only_list(value: dict[str, Any]) -> str | None:
    """The key of the one list of objects that a JSON object holds, unless it is itself a row."""
    if _CONVERSATIONS & set(value):
        return None
    lists = [key for key, item in value.items() if isinstance(item, list)]
    return lists[0] if len(lists) == 1 else None


def read_rows(path: Path, reading: Reading) -> Iterator[Row]:
    """The rows of `path`. Raises RowProblem, with its place, at the first that cannot be read."""
    match reading.format:
        case "lines":
            yield from _json_lines(path)
        case "array" | "object":
            yield from _json_whole(path)
        case "csv":
            with path.open(encoding="utf-8-sig", newline="") as file:
                yield from _csv(file)
        case "parquet":
            yield from _parquet(path)
        case _:
            yield from _text(path)


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    with path.open("rb") as file:
        for line, raw in enumerate(file, 1):
            try:
                yield line, raw.decode("utf-8-sig" if line == 1 else "utf-8")
            except UnicodeDecodeError as error:
                raise RowProblem(f"not UTF-8: {error.reason}", "save it as UTF-8").at(
                    line, line
                ) from None


def _json_lines(path: Path) -> Iterator[Row]:
    number = 0
    for line, text in _lines(path):
        if not text.strip():
            continue
        number += 1
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise RowProblem(
                f"not valid JSON: {_json_reason(error)}", "JSON Lines has one object on each line"
            ).at(number, line) from None
        if _ESCAPED.search(text):
            _check_halves(value, number, line)
        yield Row(number, line, _object(value, number, line))


def _json_whole(path: Path) -> Iterator[Row]:
    try:
        text = path.read_text(encoding="utf-8-sig")
        value = json.loads(text)
    except UnicodeDecodeError as error:
        raise RowProblem(f"not UTF-8: {error.reason}", "save it as UTF-8") from None
    except (ValueError, RecursionError) as error:
        problem = RowProblem(f"not valid JSON: {_json_reason(error)}")
        problem.line = getattr(error, "lineno", None)
        raise problem from None
    if isinstance(value, dict):
        key = _only_list(value)
        if key is None:
            raise RowProblem("an object without one list of rows", "expected an array of objects")
        value = value[key]
    escaped = _ESCAPED.search(text) is not None
    for number, item in enumerate(value, 1):
        if escaped:
            _check_halves(item, number, None)
        yield Row(number, None, _object(item, number, None))


def _check_halves(value: Any, number: int, line: int | None) -> None:
    """No tokenizer takes half of a character, which JSON can write (`\\ud83d` alone)."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        half = error.object[error.start]
        raise RowProblem(
            f"not valid JSON: half of a character, \\u{ord(half):04x}",
            "a text was cut in the middle of it: write it again",
        ).at(number, line) from None


def _json_reason(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at column {error.colno}"
    if isinstance(error, RecursionError):
        return "it is nested too deep"
    return str(error)


def _object(value: Any, number: int, line: int | None) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    raise RowProblem(f"a row is {kind(value)}", "expected an object with named columns").at(
        number, line
    )


def _csv(file: IO[str]) -> Iterator[Row]:
    csv.field_size_limit(_CELL)
    reader = csv.reader(file, strict=True)
    number = 0
    try:
        names = next(reader, None)
        if names is None:
            return
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise RowProblem(f"the column `{twice}` is named twice", "name each column once").at(
                0, 1
            )
        for cells in reader:
            if not cells:
                continue
            number += 1
            if len(cells) != len(names):
                raise RowProblem(
                    f"{len(cells)} cells, where the first line names {len(names)} columns",
                    "quote cells that hold commas or line breaks",
                ).at(number, reader.line_num)
            yield Row(number, reader.line_num, dict(zip(names, cells, strict=True)))
    except csv.Error as error:
        raise RowProblem(f"not valid CSV: {error}").at(number + 1, reader.line_num) from None
    except UnicodeDecodeError as error:
        raise RowProblem(f"not UTF-8: {error.reason}", "save it as UTF-8").at(
            number + 1, reader.line_num
        ) from None


def _parquet(path: Path) -> Iterator[Row]:
    import polars

    try:
        frame = polars.scan_parquet(path)
        total = int(frame.select(polars.len()).collect().item())
    except (polars.exceptions.PolarsError, OSError) as error:
        raise RowProblem(f"not a Parquet file: {str(error).splitlines()[0]}") from None
    for start in range(0, total, _PARQUET_ROWS):
        part = frame.slice(start, _PARQUET_ROWS).collect()
        for offset, value in enumerate(part.iter_rows(named=True)):
            yield Row(start + offset + 1, None, value)


def _text(path: Path) -> Iterator[Row]:
    for line, text in _lines(path):
        yield Row(line, line, {"text": text.rstrip("\r\n")})


def kind(value: Any) -> str:
    """What a value is, in words for a message."""
    match value:
        case None:
            return "missing"
        case bool():
            return f"{str(value).lower()}"
        case int() | float():
            return f"the number {value}"
        case str():
            return "text"
        case list():
            return "a list"
        case dict():
            return "an object"
        case _:
            return f"a {type(value).__name__}"
