"""The declarations of a project: listed, read, checked and written, below four folders only.

recipes/ pipelines/ serving/ suites/ and what lies in folders below them; `*.yaml` and `*.yml`. A
path that leads out, also by a link, is no declaration. A text is checked before it replaces a
file, and only replaces what its writer has read.
"""

import hashlib
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmops.control.problems import Refused
from llmops.errors import BadInput, NotFound
from llmops.spec.load import Loaded, load_text
from llmops.spec.mistakes import Mistakes
from llmops.spec.source import display, parse_source, unread
from llmops.store.paths import ProjectPaths

FOLDERS = {
    "recipe": "recipes",
    "pipeline": "pipelines",
    "deployment": "serving",
    "suite": "suites",
}
_ENDINGS = (".yaml", ".yml")
_MARKS = {"recipe": "kind", "pipeline": "stages", "deployment": "variants"}
MOST_BYTES = 512 * 1024
_writing = threading.Lock()


@dataclass(frozen=True)
class Known:
    """A file that was read; stat: what tells whether it has changed since."""

    stat: tuple[int, int, int]
    entry: dict[str, Any] | None


class Declarations:
    """The declarations of the project in `root`. Remembers what files said while they stay as
    they are."""

    def __init__(self, paths: ProjectPaths) -> None:
        self._root = paths.root.resolve()
        self._lock = paths.lock("declarations")
        self._known: dict[str, Known] = {}

    def listed(self, kind: str | None = None) -> list[dict[str, Any]]:
        """path, kind, name, stage (of a training recipe), digest and problem (why it does not
        load as YAML) of each, by path."""
        found = []
        for one, folder in FOLDERS.items():
            if kind is None or kind == one:
                found += [
                    entry for file in self._files(folder) if (entry := self._entry(file, one))
                ]
        return found

    def read(self, path: str) -> dict[str, Any]:
        """path, kind, text, digest. Raises NotFound for what is no declaration."""
        file, kind = self.place(path)
        try:
            text = file.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise NotFound(f"there is no declaration `{path}`") from None
        except (OSError, UnicodeDecodeError) as error:
            raise BadInput(f"cannot be read: {unread(error)}", where=path) from None
        return {"path": path, "kind": kind, "text": text, "digest": _digest(text)}

    def write(self, path: str, text: str, replaces: str | None) -> dict[str, Any]:
        """Let `path` hold `text`, which must load. replaces: the digest of what the writer saw
        there; None for a file that is not there.

        Raises Refused: 409 when the file holds something else, 422 when the text does not load.
        """
        from filelock import FileLock

        file, kind = self.place(path)
        _, problems = check(kind, text, file)
        if problems:
            first = problems[0]
            raise Refused(
                422,
                "invalid_declaration",
                f"the {kind} does not load: {first['message']}",
                where=f"{path}:{first['line']}" if first["line"] else path,
                fix=first["fix"] or "",
            )
        self._lock.parent.mkdir(parents=True, exist_ok=True)
        with _writing, FileLock(self._lock):
            self._unchanged(path, file, replaces)
            _replace(file, text)
        return self.read(path)

    def place(self, path: str) -> tuple[Path, str]:
        """The file that `path` names, and its kind. Raises NotFound for what leads out."""
        kind = next((k for k, f in FOLDERS.items() if path.startswith(f + "/")), None)
        parts = path.split("/")
        plain = all(part and not part.startswith(".") and part.isprintable() for part in parts)
        if kind is None or not plain or "\\" in path or not path.endswith(_ENDINGS):
            raise NotFound(
                f"`{path[:200]}` is no declaration",
                fix=f"a *.yaml file below {', '.join(f'{f}/' for f in FOLDERS.values())}",
            )
        file = self._root / path
        try:
            resolved = file.resolve()
            is_other = resolved.exists() and not resolved.is_file()
        except OSError:
            raise NotFound(f"there is no declaration `{path[:200]}`") from None
        if not resolved.is_relative_to(self._root / FOLDERS[kind]):
            raise NotFound(f"there is no declaration `{path}`", fix="links out are not followed")
        if is_other:  # reading a pipe would wait for who writes it
            raise NotFound(f"`{path}` is no file")
        return resolved, kind

    def _unchanged(self, path: str, file: Path, replaces: str | None) -> None:
        now = _digest(file.read_text(encoding="utf-8")) if file.exists() else None
        if now != replaces:
            what = "is there already" if replaces is None else "has changed since it was read"
            if now is None:
                what = "is not there any more"
            raise Refused(409, "changed", f"`{path}` {what}", fix="read it again")

    def _files(self, folder: str) -> list[Path]:
        found = []
        for base, folders, files in os.walk(self._root / folder):
            folders[:] = sorted(one for one in folders if not one.startswith("."))
            found += [Path(base, one) for one in sorted(files) if one.endswith(_ENDINGS)]
        return [file for file in found if not file.name.startswith(".")]

    def _entry(self, file: Path, kind: str) -> dict[str, Any] | None:
        """None for sound YAML that is something else (Prometheus' configuration in serving/)."""
        path = str(file.relative_to(self._root))
        try:
            self.place(path)
            stat = file.stat()
            mark = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
            known = self._known.get(path)
            if known is None or known.stat != mark:
                text = file.read_text(encoding="utf-8") if stat.st_size <= MOST_BYTES else ""
                known = self._known[path] = Known(mark, _told(path, kind, text))
        except (NotFound, OSError, UnicodeDecodeError):
            return None
        return known.entry


def _told(path: str, kind: str, text: str) -> dict[str, Any] | None:
    entry: dict[str, Any] = {
        "path": path,
        "kind": kind,
        "name": Path(path).stem,
        "stage": None,
        "digest": _digest(text),
        "problem": None,
    }
    try:
        data = parse_source(text, Path(path)).data
    except (BadInput, RecursionError) as error:
        return {**entry, "problem": str(error)}
    if kind in _MARKS and _MARKS[kind] not in data:
        return None
    if kind == "recipe":
        return {**entry, "stage": str(data.get("stage") or data.get("kind"))}
    return {**entry, "name": str(data.get("name") or entry["name"])}


def check(kind: str, text: str, place: Path) -> tuple[Any, list[dict[str, Any]]]:
    """The declaration as plain values, once it loads, and what is wrong with it when not: message,
    line (from 1), key, fix. place: the file that it is meant for."""
    try:
        loaded: Loaded[Any] = load_text(kind, text, place)
        return loaded.spec.model_dump(mode="json"), []
    except Mistakes as error:
        return None, [_problem(one, place) for one in error.problems]
    except BadInput as error:
        return None, [_problem(error, place)]
    except RecursionError:
        return None, [_problem(BadInput("it is nested too deeply"), place)]


def _problem(error: BadInput, place: Path) -> dict[str, Any]:
    """`FILE:LINE: KEY`, as errors say where, in its parts."""
    shown = display(place)
    where, what = error.where, error.what
    if not where and what.startswith(shown):  # a mistake of YAML names its place in the sentence
        where, _, what = what.partition(": ")
    line, _, key = where.removeprefix(shown).removeprefix(":").partition(": ")
    if not line.isdigit():
        line, key = "", key or line.strip()
    return {
        "message": what,
        "line": int(line) if line else None,
        "key": key or None,
        "fix": error.fix or None,
    }


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _replace(file: Path, text: str) -> None:
    """With the permissions that the file had, or those of a new one."""
    from llmops.store.atomic import write_text

    file.parent.mkdir(parents=True, exist_ok=True)
    mode = file.stat().st_mode & 0o777 if file.exists() else 0o644
    write_text(file, text)
    os.chmod(file, mode)
