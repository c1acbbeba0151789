"""Progress of copying large files: a bar on a terminal, a line for each file elsewhere."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from llmops.cli.output import note

Copied = Callable[[str, int, int], None]
_LARGE = 100_000_000
"""Bytes; smaller files are copied without a word."""


@contextmanager
def copying(done: str = "copied") -> Iterator[Copied]:
    """What to call with a file's name, its bytes copied so far, and its size. done: what then is
    done with it."""
    if not sys.stderr.isatty():
        yield partial(_line, done)
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TransferSpeedColumn

    columns = ("{task.description}", BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        tasks: dict[str, TaskID] = {}

        def copied(name: str, done: int, size: int) -> None:
            if size < _LARGE:
                return
            if name not in tasks:
                tasks[name] = bars.add_task(name, total=size)
            bars.update(tasks[name], completed=done)
            if done == size:
                bars.remove_task(tasks.pop(name))

        yield copied


def _line(what: str, name: str, done: int, size: int) -> None:
    if done == size >= _LARGE:
        note(f"{what} {name}, {size / 1e9:.1f} GB")
