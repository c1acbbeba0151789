"""What was found in data files, remembered by their content.

Checking every row of a large file takes a while, and a plan looks at the same files again and
again. Looking up changes nothing on disk until `save`; losing the file only costs time.
"""

import json
from collections.abc import Callable, Collection
from dataclasses import asdict
from pathlib import Path
from typing import Any

from llmops.data.inspect import inspect_data
from llmops.engines.contract import DataSet
from llmops.spec.recipe import DataFile, Layout
from llmops.store.memory import Memory

FORMAT = 3
"""Raised whenever a check changes, so that what an older version passed is looked at again."""


class Inspections:
    """Remembered inspections. file: where; digest: of a file's content."""

    def __init__(self, file: Path, digest: Callable[[Path], str]) -> None:
        self._memory = Memory(file)
        self._digest = digest

    def inspect(
        self, file: DataFile, path: Path, *, where: Callable[[], str], wanted: Collection[Layout]
    ) -> DataSet:
        """As `inspect_data`; a file that passed before is not read again."""
        content = self._digest(path)
        key = json.dumps([FORMAT, content, path.suffix, file.layout, file.columns, file.limit])
        known = self._memory.get(key)
        if known is not None and _answers(known, wanted):
            found = {**known["data"], "first_prompts": tuple(known["data"]["first_prompts"])}
            return DataSet(path=path, **found)
        data = inspect_data(file, path, where=where(), wanted=wanted, digest=lambda _: content)
        kept = {name: value for name, value in asdict(data).items() if name != "path"}
        self._memory.put(key, {"wanted": sorted(wanted), "data": kept})
        return data

    def save(self) -> None:
        """Remember for the next process."""
        self._memory.save()


def _answers(known: dict[str, Any], wanted: Collection[Layout]) -> bool:
    """Whether an inspection that asked for other layouts says the same: what was told apart among
    more layouts is told apart among fewer."""
    before = set(known["wanted"])
    return before == set(wanted) or (before >= set(wanted) and known["data"]["layout"] in wanted)
