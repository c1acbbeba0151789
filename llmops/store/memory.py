"""A file of what was found out before. Losing it only costs time."""

from pathlib import Path
from typing import Any

from llmops.store.atomic import write_json
from llmops.store.files import read_object


class Memory:
    """Values by key, read when first asked for. Nothing on disk changes until `save`."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._known: dict[str, Any] | None = None
        self._changed = False

    def get(self, key: str) -> Any:
        """The value, or None."""
        if self._known is None:
            self._known = read_object(self._file)
        return self._known.get(key)

    def put(self, key: str, value: Any) -> None:
        self.get(key)
        assert self._known is not None
        self._known[key] = value
        self._changed = True

    def save(self) -> None:
        """Keep it for the next process."""
        if self._changed:
            write_json(self._file, self._known)
            self._changed = False
