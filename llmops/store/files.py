"""Files as they are found: whether one was written since, and the JSON object that it holds."""

import json
from pathlib import Path
from typing import Any

Mark = tuple[int, int, int]


def mark_of(path: Path) -> Mark | None:
    """Another one whenever the file was written; None when it is not there."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_size, stat.st_mtime_ns, stat.st_ino


def read_object(path: Path) -> dict[str, Any]:
    """Empty when the file is absent, torn, or holds something else than a JSON object."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
