"""What is told of many versions: rows for a listing, evidence, the result of a check. Everything
about one is in shown.py.

Plain values; the CLI prints them.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from llmops.environments.machine import size_text
from llmops.registry.aliases import latest
from llmops.registry.deletion import buried
from llmops.registry.evidence import Evidence, EvidenceLog
from llmops.registry.index import Row
from llmops.registry.manifest import Manifest, VersionId
from llmops.registry.notes import Notes, Tags, tags_text
from llmops.registry.store import Registry
from llmops.spec.source import display

EVIDENCE_COLUMNS = ("time", "version", "kind", "passed", "what it shows", "against", "by", "report")
Named = dict[str, bool]
"""Aliases, and whether each stands on an override."""
COLUMNS = ("version", "kind", "stage", "base", "aliases", "tags", "size", "created", "fingerprint")


@dataclass(frozen=True)
class Asked:
    """Which versions are listed. name: of their model; tags: each of which they have, with that
    value unless it is empty; stage; alias: that names them."""

    name: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    stage: str | None = None
    alias: str | None = None

    @property
    def narrows(self) -> bool:
        """Whether not all versions of a model are asked for."""
        return bool(self.tags or self.stage or self.alias)

    def fits(self, version: "_Version") -> bool:
        row, aliases, tags = version
        return (
            self.stage in (None, row.stage)
            and (self.alias is None or self.alias in aliases)
            and all(key in tags and value in ("", tags[key]) for key, value in self.tags.items())
        )


_Version = tuple[Row, Named, Tags]
ALL = Asked()


def listed(registry: Registry, asked: Asked = ALL) -> list[dict[str, Any]]:
    """Versions by model, oldest first. size: bytes. Raises NotFound when there is no such model."""
    models = display(registry.paths.models)
    return [_entry(*found, models) for found in _found(registry, asked)]


def listed_of(name: str, registry: Registry) -> list[dict[str, Any]]:
    """The versions of one model, oldest first; none of one that is not there."""
    models = display(registry.paths.models)
    return [_entry(*found, models) for found in _of(name, registry)]


def entry_of(manifest: Manifest, registry: Registry) -> dict[str, Any]:
    """One version, as it is listed."""
    name, number = manifest.name, manifest.number
    aliases = _aliases(name, registry).get(number, {})
    tags = Notes(registry.paths).tags(name).get(str(manifest.id), {})
    return _entry(registry.row(manifest), aliases, tags, display(registry.paths.models))


def table(registry: Registry, asked: Asked = ALL) -> list[tuple[str, ...]]:
    """As `listed`, as the cells of COLUMNS."""
    return [
        (
            f"{row.name}:v{row.number}",
            f"{row.kind} r{row.lora_rank}" if row.lora_rank else row.kind,
            row.stage,
            row.base or "-",
            aliases_text(aliases, [one for one in aliases if aliases[one]]) if aliases else "-",
            tags_text(tags) if tags else "-",
            size_text(row.size),
            row.created[:16].replace("T", " "),
            (row.fingerprint or "-")[:12],
        )
        for row, aliases, tags in _found(registry, asked)
    ]


def evidence_of(text: str, registry: Registry) -> list[Evidence]:
    """The evidence about a model (NAME) or one of its versions (NAME:vN, also of one that was
    deleted, or NAME@ALIAS), oldest first. Raises NotFound when there is no such one."""
    log = EvidenceLog(registry.paths)
    if ":" in text or "@" in text:
        left = buried(text, registry.paths)
        version = (left.manifest if left else registry.resolve(text)).id
        return log.of(version.name, str(version))
    registry.history(text)  # refuses a model that is not there
    return log.of(text)


def evidence_row(piece: Evidence) -> tuple[str, ...]:
    """A piece of evidence as the cells of EVIDENCE_COLUMNS."""
    overridden = piece.kind == "override" and piece.missing
    return (
        piece.time[:16].replace("T", " "),
        piece.version,
        piece.kind,
        "yes" if piece.passed else "no",
        piece.summary + (f" (missing: {'; '.join(piece.missing)})" if overridden else ""),
        piece.against or "-",
        piece.by or "-",
        piece.file or "-",
    )


def evidence_text(piece: Mapping[str, Any]) -> str:
    """A piece of evidence, as a record, in a line."""
    word = "" if piece["kind"] == "override" else " passed" if piece["passed"] else " failed"
    file = f"  {piece['file']}" if piece["file"] else ""
    return f"{piece['kind']}{word}: {piece['summary']}{file}"


def aliases_text(aliases: Iterable[str], overridden: Sequence[str]) -> str:
    """For a cell: what stands on an override is marked."""
    return ", ".join(f"{one} (override)" if one in overridden else one for one in aliases)


def _found(registry: Registry, asked: Asked) -> Iterator[_Version]:
    if asked.name is not None and not registry.rows(asked.name):
        raise registry.no_model(asked.name)
    for name in registry.names() if asked.name is None else [asked.name]:
        versions = _of(name, registry)
        yield from filter(asked.fits, versions) if asked.narrows else versions


def _of(name: str, registry: Registry) -> Iterator[_Version]:
    """The versions of a model with their aliases and tags."""
    aliases, tags = _aliases(name, registry), Notes(registry.paths).tags(name)
    none: Tags = {}
    for row in registry.rows(name):
        tagged = tags.get(f"{name}:v{row.number}", none) if tags else none
        yield row, aliases.get(row.number, {}), tagged


def _entry(row: Row, aliases: Named, tags: Tags, models: str) -> dict[str, Any]:
    return {
        "version": f"{row.name}:v{row.number}",
        "kind": row.kind,
        "stage": row.stage,
        "base": row.base,
        "parent": row.parent,
        "aliases": [*aliases],
        "overridden": [one for one in aliases if aliases[one]] if aliases else [],
        "tags": tags,
        "size": row.size,
        "created": row.created,
        "fingerprint": row.fingerprint,
        "lora_rank": row.lora_rank,
        "metrics": row.metrics,
        "directory": f"{models}/{row.name}/v{row.number}",
    }


def _aliases(name: str, registry: Registry) -> dict[int, Named]:
    """The aliases of each version that has some, by number."""
    found: dict[int, Named] = {}
    for alias, move in sorted(latest(registry.alias_log.history(name)).items()):
        found.setdefault(VersionId.parse(move.version).number, {})[alias] = move.overrides
    return found
