"""The rows of a data set as JSON Lines in the layout's own columns.

Needed where the engine's loader would read a file otherwise than it is meant: CSV (which has no
types), an object around the list of rows, empty lines of text, answers as text beside a
conversation, roles under other names. The original file is never changed.
"""

import json
from collections.abc import Iterator

from llmops.data.rows import read_rows, reading_of
from llmops.data.samples import read_sample
from llmops.engines.contract import DataSet


def converted_lines(data: DataSet) -> Iterator[str]:
    """One JSON object for each row, without the line break. The data set has been inspected."""
    for row in read_rows(data.path, reading_of(data.path)):
        sample = read_sample(data.layout, row.value, data.columns)
        if data.layout == "text" and sample.empty:
            continue
        yield json.dumps(sample.row, ensure_ascii=False)
