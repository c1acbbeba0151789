"""What lineages read of a project: its versions, files and log, each once and when first needed."""

from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from llmops.errors import BadInput, Failed, LlmopsError
from llmops.lineage.log import Log
from llmops.lineage.versions import Versions
from llmops.preferences.snapshot import Snapshot, read_snapshot, snapshot_names
from llmops.registry.hub.cache import cached
from llmops.registry.store import Registry
from llmops.spec.reference import parse_reference
from llmops.spec.settings import Settings
from llmops.store.digest import Digests
from llmops.store.paths import ProjectPaths

if TYPE_CHECKING:
    import sqlalchemy as sa


class Project:
    """Use it as a context: what was opened here is closed, what was found out of files is kept.

    database: gives the one that is open already, which the caller closes. closed: who asks may not
    read this machine's files, so nothing is told of those that are not the project's.
    """

    def __init__(
        self,
        settings: Settings,
        database: "Callable[[], sa.Engine] | None" = None,
        *,
        closed: bool = False,
    ) -> None:
        self.settings, self.closed = settings, closed
        self.paths = ProjectPaths(settings.root)
        self.digests = Digests(self.paths)
        self.registry = Registry(self.paths, self.digests)
        self.versions = Versions(self.registry)
        self._given = database
        self._opened: sa.Engine | None = None
        self._failed: LlmopsError | None = None
        self._log: Log | None = None

    def __enter__(self) -> "Project":
        return self

    def __exit__(self, *_: object) -> None:
        self.digests.save()
        if self._opened is not None and self._given is None:
            self._opened.dispose()

    @property
    def database(self) -> "sa.Engine | None":
        """With what the journal holds by now; None where nobody was ever answered. Raises as
        opening it does, each time."""
        from llmops.preferences.source import has_log

        if self._failed is not None:
            raise self._failed
        if self._opened is None and has_log(self.settings):
            try:
                self._opened = self._given() if self._given else self._fresh()
            except LlmopsError as error:
                self._failed = error
                raise
        return self._opened

    @property
    def log(self) -> Log | None:
        """Of the database; None and raises as that."""
        if self._log is None and (database := self.database) is not None:
            self._log = Log(database)
        return self._log

    def _fresh(self) -> "sa.Engine":
        from llmops.feedback.ingest import fresh

        return fresh(self.settings, self.paths)

    def snapshots(self, notes: list[str]) -> Iterator[Snapshot]:
        """All of them, by name and number; what is wrong with one that is damaged goes to the
        notes."""
        for name in snapshot_names(self.paths):
            folders = [one for one in self.paths.snapshots(name).iterdir() if one.name.isdecimal()]
            for folder in sorted(folders, key=lambda one: int(one.name)):
                try:
                    yield read_snapshot(folder)
                except Failed as error:
                    notes += [error.line] if error.line not in notes else []

    @cached_property
    def _files(self) -> dict[Path, str | None]:
        return {}

    def digest(self, file: Path) -> str | None:
        """sha256; None where there is no such file."""
        if file not in self._files:
            try:
                self._files[file] = self.digests.file(file) if file.is_file() else None
            except OSError:
                self._files[file] = None
        return self._files[file]

    def tells_of(self, file: Path) -> bool:
        """Whether who asks may know of a file: whether it is there, and its digest."""
        inside = file.resolve().is_relative_to(self.paths.root.resolve())
        return not self.closed or inside or str(file) in self.versions.data_paths

    def state_of_file(self, path: str, sha256: str) -> tuple[str, str | None]:
        """How a data file is now, and its sha256 if it changed. path: as manifests have it."""
        now = self.digest(self.paths.root / path)
        if now is None:
            return "missing", None
        return ("", None) if now == sha256 else ("changed", now)

    def state_of_model(self, id: str) -> str:
        """Of a model that is not in the registry: whether it is there."""
        try:
            reference = parse_reference(id)
            if reference.scheme == "hub":
                cached(reference)
                return ""
            return "" if (self.paths.root / reference.target).is_dir() else "missing"
        except (BadInput, ValueError):
            return "missing"
