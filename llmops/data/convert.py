"""The rows of a data set as JSON Lines in the layout's own columns.

Needed where the engine's loader would read a file otherwise than it is meant: CSV (which has no
types), an object around the list of rows, empty lines of text, answers as text beside a
conversation, roles under other names. The original file is never changed.
"""

import json
from collections.abc import Iterator
from pathlib import Path

from llmops.data.rows import RowProblem, read_rows, reading_of
from llmops.data.samples import read_sample
from llmops.engines.contract import DataSet
from llmops.errors import Failed
from llmops.spec.source import display
from llmops.store.atomic import new_file


def write_converted(data: DataSet, path: Path) -> None:
    """Write the whole of it to `path`, row by row. Raises Failed when the disk is full, or the data
    is not what was inspected."""
    try:
        with new_file(path) as file:
            for line in converted_lines(data):
                file.write(f"{line}\n".encode())
    except RowProblem as problem:
        where = f"{display(data.path)}:{problem.line}" if problem.line else display(data.path)
        raise Failed(
            f"the data changed while it was read: {problem.what}",
            where=where,
            fix="run it again once nothing writes to it",
        ) from None


def converted_lines(data: DataSet) -> Iterator[str]:
    """One JSON object for each row, without the line break. The data set has been inspected."""
    for row in read_rows(data.path, reading_of(data.path)):
        sample = read_sample(data.layout, row.value, data.columns)
        if data.layout == "text" and sample.empty:
            continue
        yield json.dumps(sample.row, ensure_ascii=False)
