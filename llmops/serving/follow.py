"""Whether an alias of some models may have moved: by the state of the files that record moves."""

import os
from collections.abc import Iterable

from llmops.store.paths import ProjectPaths

Mark = tuple[int, int, int] | None


class AliasFiles:
    """The files of the models that a deployment follows."""

    def __init__(self, paths: ProjectPaths, models: Iterable[str]) -> None:
        self._files = [paths.aliases(model) for model in sorted(models)]
        self._marks = self._read()

    def changed(self) -> bool:
        """Whether any was written since this was asked last."""
        before, self._marks = self._marks, self._read()
        return before != self._marks

    def _read(self) -> list[Mark]:
        marks: list[Mark] = []
        for file in self._files:
            try:
                stat = os.stat(file)
            except OSError:
                marks.append(None)
            else:
                marks.append((stat.st_mtime_ns, stat.st_size, stat.st_ino))
        return marks
