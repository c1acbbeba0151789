"""The registry's local store: immutable, numbered versions of named models.

`.llmops/models/NAME/vN/` holds the files of a version and its manifest.json. A version appears
whole or not at all; nothing here changes or removes one. Aliases are in aliases.py, the place of
a model for training and serving in locate.py. A remote (the Hugging Face Hub) is not covered.
"""

import re
from pathlib import Path

from pydantic import ValidationError

from llmops.errors import BadInput, Failed, LlmopsError, NotFound
from llmops.registry.aliases import Aliases, Move
from llmops.registry.deletion import tombstone
from llmops.registry.files import headers
from llmops.registry.index import MANIFEST, Index, Row, has_versions, numbers
from llmops.registry.intake import Progress
from llmops.registry.integrity import damage
from llmops.registry.manifest import Draft, Manifest, VersionId
from llmops.registry.registration import register, take_in
from llmops.spec.reference import parse_reference
from llmops.spec.source import display
from llmops.spec.suggest import did_you_mean
from llmops.store.digest import Digests
from llmops.store.files import Mark, mark_of
from llmops.store.paths import ProjectPaths

__all__ = ["MANIFEST", "Draft", "Registry"]

_KEPT = 200
"""Manifests that are remembered, of some tens of kilobytes each: all may be ten thousand."""


class Registry:
    """The models of a project. Reading changes nothing on disk but what the index remembers."""

    def __init__(self, paths: ProjectPaths, digests: Digests | None = None) -> None:
        self.paths = paths
        self.digests = digests if digests is not None else Digests(paths)
        self.alias_log = Aliases(paths)
        self._manifests: dict[VersionId, tuple[Mark | None, Manifest]] = {}
        self._index = Index(paths, self._read)

    @property
    def root(self) -> Path:
        """The project's directory."""
        return self.paths.root

    def names(self) -> list[str]:
        """The models that have a version, by name."""
        if not self.paths.models.is_dir():
            return []
        return sorted(path.name for path in self.paths.models.iterdir() if self.has(path.name))

    def has(self, name: str) -> bool:
        """Whether the model has a version."""
        return has_versions(self.paths.model(name))

    def numbers(self, name: str) -> list[int]:
        """The numbers of its versions, ascending."""
        return numbers(self.paths.model(name))

    def rows(self, name: str) -> list[Row]:
        """The versions of a model in short, oldest first: quick, however many there are.

        Raises Failed for a manifest that cannot be read.
        """
        return [*self._index.rows(name).values()]

    def row(self, manifest: Manifest) -> Row:
        """A version in short."""
        return self._index.row(manifest)

    def versions(self, name: str) -> list[Manifest]:
        """The versions of a model, oldest first; none for a model that is not there.

        Raises Failed for a manifest that cannot be read.
        """
        return [self._read(VersionId(name, number)) for number in self.numbers(name)]

    def get(self, version: VersionId) -> Manifest:
        """Raises NotFound, naming the versions that exist, when there is no such one."""
        if (self.paths.version(version.name, version.number) / MANIFEST).is_file():
            return self._read(version)
        if (left := tombstone(version, self.paths)) is not None:
            raise left.error
        numbers = self.numbers(version.name)
        if not numbers:
            raise self.no_model(version.name)
        known = [f"{version.name}:v{number}" for number in numbers]
        listed = ", ".join(f"`{one}`" for one in known[-8:])
        raise NotFound(
            f"there is no version {version}",
            fix=f"the newest is `{known[-1]}`" if len(known) > 8 else f"known: {listed}",
        )

    def resolve(self, text: str) -> Manifest:
        """The version that `NAME:vN` or `NAME@alias` names.

        Raises BadInput, with the nearest model, version or alias, when there is none.
        """
        try:
            reference = parse_reference(text)
        except ValueError:
            raise BadInput(
                f"`{text}` does not name a version",
                fix=did_you_mean(text, self._known()) or "expected NAME:vN or NAME@alias",
            ) from None
        if reference.scheme == "version":
            return self.get(VersionId(reference.target, int(reference.part)))
        if reference.scheme != "alias":
            raise BadInput(
                f"`{text}` is not in the registry; expected NAME:vN or NAME@alias",
                fix="`llmops models list` shows what there is",
            )
        named = self.alias_log.names(reference.target, reference.part)
        if named is not None:
            return self.get(named)
        known = self.alias_log.current(reference.target)
        raise self._no_alias(reference.target, reference.part, known)

    def aliases(self, name: str) -> dict[str, int]:
        """The number of the version that each alias of a model names now."""
        return {alias: version.number for alias, version in self.alias_log.current(name).items()}

    def move(self, name: str, alias: str, number: int, *, why: str, by: str = "") -> Move | None:
        """Let `alias` name version `number`, on record. None when it already does.

        Raises BadInput when there is no such version, or no such alias is possible.
        """
        version = self.get(VersionId(name, number)).id
        return self.alias_log.move(alias, version, why=why, by=by)

    def history(self, name: str) -> list[Move]:
        """Every move of every alias of a model, oldest first. BadInput for no such model."""
        if not self.has(name):
            raise self.no_model(name)
        return self.alias_log.history(name)

    def known(self, version: str | None) -> Manifest | None:
        """The version of that id; None for what is no version, or is gone."""
        try:
            return self.get(VersionId.parse(version or ""))
        except (ValueError, LlmopsError):
            return None

    def find(self, name: str, fingerprint: str) -> Manifest | None:
        """The newest version of `name` with that fingerprint whose files are all there, whole as
        far as names, sizes and headers tell (`verify` reads everything)."""
        found = (self._read(row.id) for row in reversed(self._index.made_with(name, fingerprint)))
        return next((manifest for manifest in found if self._is_complete(manifest)), None)

    def last_of(self, name: str, recipe: str, stage: str) -> Manifest | None:
        """The newest version of `name` that this stage of this recipe's file made."""
        rows = reversed(self._index.rows(name).values())
        made = (row for row in rows if (row.recipe, row.by) == (recipe, stage))
        return next((self._read(row.id) for row in made), None)

    def directory(self, manifest: Manifest) -> Path:
        return self.paths.version(manifest.name, manifest.number)

    def size(self, manifest: Manifest) -> int:
        """Bytes on disk of the files of a version."""
        files = (self.directory(manifest) / name for name in manifest.files)
        return sum(file.stat().st_size for file in files if file.is_file())

    def children(self, version: VersionId) -> list[Row]:
        """The versions of any model that were trained from `version`, or are adapters on it."""
        text = str(version)
        everything = (row for name in self.names() for row in self.rows(name))
        return [row for row in everything if text in (row.base, row.parent)]

    def add(self, draft: Draft, source: Path, progress: Progress | None = None) -> Manifest:
        """Register the model in `source` as the next version of `draft.name`.

        Copies the files that make the model (files.py) and nothing else. Two calls at once get
        numbers of their own, and a crash leaves nothing that is listed. progress: called with a
        file's name, its bytes copied so far, and its size.
        Raises Failed when the files are not a complete, servable model, or the disk is full.
        """
        return register(self, draft, source, progress)

    def take_in(self, manifest: Manifest, folder: Path) -> None:
        """Let `folder`, in the directory of its model, become the version that `manifest` says: it
        holds its files, whose digests the caller has compared, its manifest.json and nothing else.

        Raises Failed, and leaves `folder`, when it is no complete, servable model, is on another
        base, or its number is taken.
        """
        take_in(self, manifest, folder)

    def verify(self, manifest: Manifest, progress: Progress | None = None) -> None:
        """Read every file of a version and compare it with the manifest. progress: as of `damage`.

        Raises Failed, naming what is damaged, missing or should not be there.
        """
        folder = self.directory(manifest)
        problems = damage(folder, manifest, progress)
        if problems:
            raise Failed(
                f"{manifest.id} is damaged: {'; '.join(problems)}",
                where=display(folder),
                fix="do not serve it; restore the directory from a backup, or make the version "
                "again (`llmops run RECIPE --force`) and move its aliases",
            )

    def _known(self) -> list[str]:
        return [f"{name}:v{n}" for name in self.names() for n in self.numbers(name)] + [
            f"{name}@{alias}" for name in self.names() for alias in self.aliases(name)
        ]

    def no_model(self, name: str) -> NotFound:
        """The error for a model that has no version."""
        return NotFound(
            f"there is no model `{name}` in the registry",
            where=display(self.paths.models),
            fix=did_you_mean(name, self.names())
            or "run a recipe that makes one, or `llmops models add NAME PATH`",
        )

    def _no_alias(self, name: str, alias: str, known: dict[str, VersionId]) -> BadInput:
        numbers = self.numbers(name)
        if not numbers:
            return self.no_model(name)
        if re.fullmatch(r"v[0-9]+", alias):
            fix = f"a version is written `{name}:{alias}`"
        else:
            fix = (
                did_you_mean(alias, known) or f"`llmops models alias {name}:v{numbers[-1]} {alias}`"
            )
        return BadInput(f"model `{name}` has no alias `{alias}`", fix=fix)

    def _read(self, version: VersionId) -> Manifest:
        path = self.paths.version(version.name, version.number) / MANIFEST
        try:
            mark = mark_of(path)
            known = self._manifests.get(version)
            if known is None or known[0] != mark:
                known = mark, Manifest.model_validate_json(path.read_bytes())
                if len(self._manifests) >= _KEPT:
                    self._manifests.clear()
                self._manifests[version] = known
            return known[1]
        except (OSError, ValidationError) as error:
            raise Failed(
                f"the manifest of {version} cannot be read",
                where=display(path),
                fix="restore it from a backup, or move its directory out of the registry "
                "(a newer llmops may also have written it)",
            ) from error

    def _is_complete(self, manifest: Manifest) -> bool:
        folder = self.directory(manifest)
        if not all((folder / name).is_file() for name in manifest.files):
            return False
        try:
            headers(folder, list(manifest.files))
        except BadInput:
            return False
        return True
