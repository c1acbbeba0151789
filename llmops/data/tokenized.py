"""Tokenized data of trainings, kept for the next one that makes the same tokens.

    .llmops/cache/tokenized/KEY/manifest.json    sha256 of each file, and of the data it was made of
    .llmops/cache/tokenized/KEY/data/            what the engine saved, and reads

KEY is a sha256 over all that decides the tokens (`key_of`). An entry appears whole, is never
written again, and each of its files is hashed before it is lent. It is lent as hard links in the
attempt's own folder, so that whatever becomes of the entry, a training has its data until its end.
"""

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from llmops.engines.contract import DataSet
from llmops.store.atomic import sync_directory, sync_file, write_json
from llmops.store.digest import sha256_file, sha256_json
from llmops.store.files import mark_of, read_object

Digest = Callable[[Path], str]

MANIFEST = "manifest.json"
DATA = "data"
# What a base has besides its tokenizer; anything else in its directory may change tokens.
_WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".gguf", ".h5", ".msgpack", ".onnx")
_OTHERS = ("manifest.json", "model.safetensors.index.json", "generation_config.json")


def key_of(parts: Mapping[str, Any], base: Path, digest: Digest) -> str:
    """parts: Command.tokens; base: the directory of the model whose tokenizer is used."""
    found = [*filter(_counts, base.iterdir()), *base.glob("*/*.jinja")]
    files = {str(path.relative_to(base)): digest(path) for path in found}
    today = str(date.today()) if any(map(_dated, found)) else ""
    return sha256_json([dict(parts), files, today])


def _counts(path: Path) -> bool:
    ignored = path.suffix in (*_WEIGHTS, ".md") or path.name in _OTHERS or path.name[0] == "."
    return path.is_file() and not ignored


def _dated(file: Path) -> bool:
    """Whether it is a chat template that writes the day into what it renders."""
    if file.suffix != ".jinja" and file.name != "tokenizer_config.json":
        return False
    return "strftime_now" in file.read_text(encoding="utf-8", errors="replace")


class Tokenized:
    """The entries below `folder`. digest: of files, remembered (store/digest.py)."""

    def __init__(self, folder: Path, digest: Digest = sha256_file) -> None:
        self._folder = folder
        self._digest = digest

    def __iter__(self) -> Iterator[str]:
        """The keys of all entries, also of damaged ones."""
        return iter(sorted(path.name for path in self._folder.glob("*") if path.is_dir()))

    def place(self, key: str) -> Path:
        return self._folder / key

    def is_sound(self, key: str, digest: Digest | None = None) -> bool:
        """Whether every file is what it was. Those that nobody wrote to since are believed, unless
        a digest is given, which reads them all."""
        data, files = self.place(key) / DATA, self._files(key)
        if digest is None and files:
            marks = self._manifest(key).get("marks")
            if {name: _mark(data / name) for name in files} == marks:
                return True
        return _is_sound(data, files, digest or self._digest)

    def lend(self, key: str, to: Path) -> bool:
        """Whether `to` holds the entry's data now. Of a damaged one, which is removed, it does not.

        Raises OSError when `to` cannot be written.
        """
        files = self._files(key)
        try:
            for name in files:
                _link(self.place(key) / DATA / name, to / name)
            sound = _is_sound(to, files, sha256_file)
        except FileNotFoundError:
            sound = False
        if sound:
            with contextlib.suppress(FileNotFoundError):  # evicted meanwhile
                os.utime(self.place(key))
            return True
        shutil.rmtree(to, ignore_errors=True)
        self.drop(key)
        return False

    def keep(self, key: str, made: Path, sources: Sequence[DataSet]) -> None:
        """Take `made`/data in, which the engine has finished; `made` is gone then. sources: what it
        was tokenized from. An entry that is there already stays, if it is sound.

        Raises OSError or Failed when it cannot be written.
        """
        data = made / DATA
        files = sorted(path for path in data.rglob("*") if path.is_file())
        for path in files:
            sync_file(path)
        for folder in {path.parent for path in files}:
            sync_directory(folder)
        manifest = {
            "key": key,
            "sources": [{"path": str(one.path), "sha256": one.sha256} for one in sources],
            "files": {path.relative_to(data).as_posix(): sha256_file(path) for path in files},
            "marks": {path.relative_to(data).as_posix(): _mark(path) for path in files},
        }
        write_json(made / MANIFEST, manifest)
        if self.place(key).exists():
            if self.is_sound(key):
                shutil.rmtree(made)
                return
            self.drop(key)
        self._folder.mkdir(parents=True, exist_ok=True)
        made.rename(self.place(key))
        sync_directory(self._folder)

    def drop(self, key: str) -> None:
        """Remove an entry. Its manifest goes first: what is left of it is none."""
        (self.place(key) / MANIFEST).unlink(missing_ok=True)
        shutil.rmtree(self.place(key), ignore_errors=True)

    def forget(self, directory: Path, digests: set[str]) -> None:
        """Remove what was made of files in `directory`, or of these contents wherever they lay; and
        what nobody can tell the sources of."""
        for key in self:
            try:
                made_of = self._manifest(key)["sources"]
                gone = any(
                    one["sha256"] in digests or Path(one["path"]).parent == directory
                    for one in made_of
                )
            except (KeyError, TypeError):
                gone = True
            if gone:
                self.drop(key)

    def _manifest(self, key: str) -> dict[str, Any]:
        found = read_object(self.place(key) / MANIFEST)
        return found if found.get("key") == key else {}

    def _files(self, key: str) -> dict[str, str]:
        files = self._manifest(key).get("files")
        return files if isinstance(files, dict) else {}


def _is_sound(data: Path, files: Mapping[str, str], digest: Digest) -> bool:
    try:
        return bool(files) and all(digest(data / name) == sha for name, sha in files.items())
    except OSError:
        return False


def _mark(file: Path) -> list[int]:
    return [*(mark_of(file) or ())]


def _link(file: Path, to: Path) -> None:
    """A copy where a file system has no hard links."""
    to.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(file, to)
    except FileNotFoundError:
        raise
    except OSError:
        shutil.copyfile(file, to)
