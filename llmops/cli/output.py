"""What commands print: tables, JSON, errors. Results go to stdout, the rest to stderr."""

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

_LONG = 200
"""Rows."""


def print_json(value: Any) -> None:
    if isinstance(value, list) and len(value) > _LONG:
        from pydantic_core import to_json

        # As json writes it, in a tenth of the time.
        text = to_json(value, indent=2, inf_nan_mode="constants", fallback=str).decode()
    else:
        text = json.dumps(value, indent=2, ensure_ascii=False, default=str)
    sys.stdout.write(f"{text}\n")


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table as wide as it needs on a terminal; without one, it is not cut. A long one is plain
    text, for rich takes a second for a thousand rows."""
    rows = [*rows]
    if len(rows) > _LONG:
        _print_plain([columns, *rows])
        return
    from rich.console import Console
    from rich.table import Table

    console = Console(width=None if sys.stdout.isatty() else 200)
    table = Table(header_style="bold")
    for column in columns:
        # An id that is folded cannot be copied.
        table.add_column(column, overflow="fold", no_wrap=column in ("run", "place"))
    for row in rows:
        table.add_row(*(plain(cell) for cell in row))
    if title:  # a table's own is no wider than the table
        console.print(title, style="italic", markup=False, highlight=False, soft_wrap=True)
    console.print(table)


def _print_plain(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    line = "  ".join(f"%-{width}s" for width in widths)
    sys.stdout.write("".join([f"{(line % tuple(row)).rstrip()}\n" for row in rows]))


def plain(text: str) -> str:
    """Text whose square brackets rich must not take for markup."""
    from rich.markup import escape

    return escape(text)


def note(text: str) -> None:
    """A line for the person at the terminal, not part of the result."""
    from llmops.store import logs

    logs.say(text)
