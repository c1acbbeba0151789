"""Verified private copies of the versions that a backend loads.

vLLM reads an adapter's directory again after an eviction, and ends for everyone when it is gone;
so it is given a copy that nothing else touches. Each file is hashed as it is copied and compared
with the version's manifest. A copy appears whole or not at all, and is used again while its files
are as they were made. An adapter's copy names its base's copy.
"""

import json
import re
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from llmops.errors import Failed
from llmops.registry.files import ADAPTER_CONFIG, model_files
from llmops.registry.intake import copy_file, name_base
from llmops.serving.served import Served
from llmops.spec.source import display
from llmops.store.atomic import new_directory
from llmops.store.digest import Digests, sha256_tree
from llmops.store.paths import DeploymentPaths

MARK = ".llmops-copy.json"
_STILL_SECONDS = 5.0


class Copies:
    """The copies of one deployment. Its supervisor holds the deployment's lock while it uses
    them."""

    def __init__(
        self,
        paths: DeploymentPaths,
        digests: Digests,
        report: Callable[[str], None] = lambda _line: None,
    ) -> None:
        """report: called with a line for each copy that is made, and now and then meanwhile."""
        self._root = paths.copies
        self._digests = digests
        self._report = report

    def make(self, versions: Iterable[Served]) -> dict[str, Path]:
        """The directory of each version by its name; that of an adapter's base is made too.

        Raises Failed when a version's files are not what was registered, or the disk is full.
        """
        made: dict[str, Path] = {}
        for one in versions:
            if one.root.name not in made:
                made[one.root.name] = self._one(one.root, None)
            if one.base is not None:
                made[one.name] = self._one(one, made[one.base.name])
        self._digests.save()
        return made

    def remove(self, copy: Path) -> None:
        """One that no backend may read any more."""
        shutil.rmtree(copy, ignore_errors=True)

    def sweep(self, keep: Iterable[Served] = ()) -> None:
        """Remove the copies of all versions but these: what an earlier server left behind."""
        names = {_folder(one) for version in keep for one in (version, version.root)}
        for path in self._root.iterdir() if self._root.is_dir() else ():
            if path.name not in names:
                shutil.rmtree(path, ignore_errors=True)

    def _one(self, served: Served, base: Path | None) -> Path:
        target = self._root / _folder(served)
        if target.exists():
            if self._is_whole(target, base):
                return target
            shutil.rmtree(target)
        names = list(served.files or model_files(served.directory, served.kind))
        size = _room_for(self._root, served.directory, names)
        self._report(f"copying and verifying {served.name} ({size / 1e6:,.1f} MB)")
        progress = _Progress(served.name, size, self._report)
        with new_directory(target) as folder:
            copied = {n: copy_file(served.directory / n, folder / n, progress) for n in names}
            _compare(served, copied)
            if base is not None:
                copied[ADAPTER_CONFIG] = name_base(folder / ADAPTER_CONFIG, str(base))
            mark = {"version": served.name, "base": str(base or ""), "files": copied}
            (folder / MARK).write_text(json.dumps(mark, indent=2), encoding="utf-8")
        return target

    def _is_whole(self, copy: Path, base: Path | None) -> bool:
        """Whether every file is as it was copied: read again only if its size, time of change or
        inode differ from those remembered."""
        try:
            mark = json.loads((copy / MARK).read_text(encoding="utf-8"))
            files: dict[str, str] = mark["files"]
            there = self._digests.tree(copy, files)
        except (OSError, ValueError, KeyError):
            return False
        return there == files and mark["base"] == str(base or "")


def _folder(served: Served) -> str:
    label = re.sub(r"[^A-Za-z0-9._-]+", "-", served.name).strip("-")[-60:]
    return f"{label}-{served.digest[:12]}"


class _Progress:
    """Says how far a copy is, for those that take long."""

    def __init__(self, name: str, size: int, report: Callable[[str], None]) -> None:
        self._name, self._size, self._report = name, size, report
        self._done: dict[str, int] = {}
        self._told = time.monotonic()

    def __call__(self, file: str, done: int, _size: int) -> None:
        self._done[file] = done
        if time.monotonic() - self._told >= _STILL_SECONDS:
            self._told = time.monotonic()
            share = 100 * sum(self._done.values()) // self._size
            self._report(f"copying {self._name}: {share}%")


def _compare(served: Served, copied: Mapping[str, str]) -> None:
    if served.files is None and sha256_tree(copied) != served.digest:
        raise Failed(
            f"{served.name} is not what it was taken for: its files were changed, or a download "
            "is damaged",
            where=display(served.directory),
            fix="start again; for a model from the Hub, see `hf cache verify`",
        )
    for name, expected in (served.files or {}).items():
        if copied[name] != expected:
            raise Failed(
                f"{served.name} is not what was registered: {name} has sha256 "
                f"{copied[name][:12]}…, its manifest says {expected[:12]}…",
                where=display(served.directory / name),
                fix="a version never changes; restore the file, or register the model anew",
            )


def _room_for(root: Path, source: Path, names: list[str]) -> int:
    """The bytes that the files take. Raises Failed when the disk has not as many left."""
    root.mkdir(parents=True, exist_ok=True)
    needed = sum((source / name).stat().st_size for name in names)
    free = shutil.disk_usage(root).free
    if needed > free:
        raise Failed(
            f"no space left on the disk: the copy needs {needed / 1e9:.1f} GB, "
            f"{free / 1e9:.1f} GB are free",
            where=display(root),
            fix="free some space and start again",
        )
    return needed
