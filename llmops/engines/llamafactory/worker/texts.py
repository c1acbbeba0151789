"""The strings of data files, in order, for a tokenizer to be trained on.

Imported by make_base.py. A JSONL, JSON array, CSV or Parquet file yields the strings of its rows;
any other is plain text and yields its lines. The files were checked before: nothing is detected
or reported here.
"""

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

_NAMES_OF_SPEAKERS = ("role", "from")


def read_texts(files: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """files: {"path", "layout", "columns", and perhaps "limit"}, each. columns: the layout's
    column -> the file's own; without any, all the columns count."""
    for file in files:
        columns = list((file.get("columns") or {}).values())
        for row in islice(_rows(str(file["path"])), file.get("limit")):
            wanted = [name for name in columns if name in row] if isinstance(row, dict) else []
            yield from _strings([row[name] for name in wanted] if wanted else row)


def _rows(path: str) -> Iterator[Any]:
    kind = path.rpartition(".")[2].lower()
    if kind == "parquet":
        yield from _parquet_rows(path)
        return
    with open(path, encoding="utf-8-sig", newline="" if kind == "csv" else None) as file:
        if kind == "jsonl":
            yield from (json.loads(line) for line in file if line.strip())
        elif kind == "json":
            yield from _json_rows(file)
        elif kind == "csv":
            csv.field_size_limit(2**31 - 1)
            yield from csv.DictReader(file)
        else:
            yield from (line.rstrip("\n") for line in file)


def _json_rows(file: Iterable[str]) -> Iterator[Any]:
    """The rows of an array; a file named .json may hold one object a line as well."""
    text = "".join(file)
    if text.lstrip().startswith("["):
        yield from json.loads(text)
    else:
        yield from (json.loads(line) for line in text.split("\n") if line.strip())


def _parquet_rows(path: str) -> Iterator[Any]:
    import pyarrow.parquet

    for batch in pyarrow.parquet.ParquetFile(path).iter_batches():
        yield from batch.to_pylist()


def _strings(value: Any) -> Iterator[str]:
    """Every string at any depth, but for those that say who speaks."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key not in _NAMES_OF_SPEAKERS:
                yield from _strings(item)
