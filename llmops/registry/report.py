"""What is told of versions: rows for a listing, everything about one, the result of a check.

Plain values and lines; the CLI prints them.
"""

from collections.abc import Callable
from typing import Any

from llmops.environments.machine import size_text
from llmops.errors import Failed
from llmops.registry.evidence import Evidence, EvidenceLog
from llmops.registry.index import Row
from llmops.registry.manifest import Golden, Manifest
from llmops.registry.store import Registry
from llmops.spec.source import display

EVIDENCE_COLUMNS = ("time", "version", "kind", "passed", "what it shows", "against", "by", "report")
COLUMNS = ("version", "kind", "stage", "base", "aliases", "size", "created", "fingerprint")


def listed(registry: Registry) -> list[dict[str, Any]]:
    """All versions by model, oldest first. size: bytes."""
    return [entry for name in registry.names() for entry in listed_of(name, registry)]


def listed_of(name: str, registry: Registry) -> list[dict[str, Any]]:
    """The versions of one model, oldest first."""
    aliases, folder = _aliases(name, registry), display(registry.paths.model(name))
    return [_entry(row, aliases, folder) for row in registry.rows(name)]


def row(entry: dict[str, Any]) -> tuple[str, ...]:
    """An entry of `listed` as the cells of COLUMNS."""
    return (
        entry["version"],
        entry["kind"] + (f" r{entry['lora_rank']}" if entry["lora_rank"] else ""),
        entry["stage"],
        entry["base"] or "-",
        ", ".join(entry["aliases"]) or "-",
        size_text(entry["size"]),
        entry["created"][:16].replace("T", " "),
        (entry["fingerprint"] or "-")[:12],
    )


def shown(manifest: Manifest, registry: Registry) -> dict[str, Any]:
    """Everything about a version; of its golden prompts the number and the first."""
    record = manifest.model_dump(mode="json", exclude={"golden"})
    history = registry.history(manifest.name)
    version = str(manifest.id)
    return {
        **_entry(registry.row(manifest), _aliases(manifest.name, registry), ""),
        **record,
        "directory": str(registry.directory(manifest)),
        "golden": len(manifest.golden),
        "first_golden": _prompt(manifest.golden[0]) if manifest.golden else None,
        "history": [
            move.model_dump() for move in history if version in (move.version, move.before)
        ],
        "children": [str(child.id) for child in registry.children(manifest.id)],
        "evidence": [piece.model_dump() for piece in evidence_of(version, registry)],
    }


def evidence_of(text: str, registry: Registry) -> list[Evidence]:
    """The evidence about a model (NAME) or one of its versions (NAME:vN, NAME@ALIAS), oldest
    first. Raises NotFound when there is no such one."""
    log = EvidenceLog(registry.paths)
    if ":" in text or "@" in text:
        version = registry.resolve(text).id
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


def lines(found: dict[str, Any]) -> list[str]:
    """The result of `shown` for a person."""
    lineage = found["lineage"]
    facts = {
        "version": found["version"],
        "kind": row(found)[1],
        "stage": found["stage"],
        "aliases": ", ".join(found["aliases"]),
        "created": found["created"],
        "directory": f"{found['directory']}  ({size_text(found['size'])})",
        "digest": found["digest"],
        "fingerprint": found["fingerprint"],
        "dtype": found["dtype"],
        "base": _with_digest(found["base"], found["base_digest"]),
        "trained from": lineage["parent"],
        "recipe": lineage["recipe"],
        "run": " ".join(str(lineage[key]) for key in ("run", "stage", "attempt") if lineage[key]),
        "engine": " ".join(lineage[key] for key in ("engine", "engine_version") if lineage[key]),
        "imported from": lineage["imported_from"],
        "children": ", ".join(found["children"]),
        "golden": f"{found['golden']} prompts" if found["golden"] else "none: nothing verifies it",
        "first golden": found["first_golden"],
    }
    out = [f"{name:14}{value}" for name, value in facts.items() if value]
    out += _section("data", [_data(item) for item in lineage["data"]])
    out += _section("metrics", [f"{key:32} {value:g}" for key, value in found["metrics"].items()])
    out += _section("files", [f"{digest[:12]}  {name}" for name, digest in found["files"].items()])
    out += _section("evidence", [_evidence(piece) for piece in found["evidence"]])
    return out + _section("alias moves", [_move(move) for move in found["history"]])


def verify_all(registry: Registry, name: str | None, report: Callable[[str], None]) -> None:
    """Verify the versions of one model, or of all; `report` gets a line for each.

    Raises Failed, after all were read, when any is damaged.
    """
    names = registry.names() if name is None else [name]
    damaged = []
    for one in names:
        versions = registry.versions(one)
        if not versions:
            raise registry.no_model(one)
        for manifest in versions:
            try:
                registry.verify(manifest)
            except Failed as error:
                damaged.append(error)
            else:
                report(f"{manifest.id}: {len(manifest.files)} files, as registered")
    if damaged:
        first, *rest = damaged
        others = "".join(f"\n  {error.where}: {error.what}" for error in rest)
        raise Failed(first.what + others, where=first.where, fix=first.fix)


def _entry(row: Row, aliases: dict[int, list[str]], folder: str) -> dict[str, Any]:
    return {
        "version": f"{row.name}:v{row.number}",
        "kind": row.kind,
        "stage": row.stage,
        "base": row.base,
        "parent": row.parent,
        "aliases": aliases.get(row.number, []),
        "size": row.size,
        "created": row.created,
        "fingerprint": row.fingerprint,
        "lora_rank": row.lora_rank,
        "metrics": row.metrics,
        "directory": f"{folder}/v{row.number}",
    }


def _aliases(name: str, registry: Registry) -> dict[int, list[str]]:
    """The aliases of each version that has some, by number."""
    found: dict[int, list[str]] = {}
    for alias, number in sorted(registry.aliases(name).items()):
        found.setdefault(number, []).append(alias)
    return found


def _prompt(golden: Golden) -> str:
    if golden.messages is not None:
        return " / ".join(f"{turn['role']}: {turn['content']}" for turn in golden.messages)
    return golden.text or ""


def _with_digest(base: str | None, digest: str | None) -> str:
    return f"{base}  (sha256 {digest})" if base and digest else base or ""


def _section(title: str, items: list[str]) -> list[str]:
    return ["", title, *(f"  {item}" for item in items)] if items else []


def _data(item: dict[str, Any]) -> str:
    return f"{item['sha256'][:12]}  {item['path']}  {item['samples']} samples"


def _evidence(piece: dict[str, Any]) -> str:
    word = "" if piece["kind"] == "override" else " passed" if piece["passed"] else " failed"
    file = f"  {piece['file']}" if piece["file"] else ""
    return f"{piece['time']}  {piece['kind']}{word}: {piece['summary']}{file}"


def _move(move: dict[str, Any]) -> str:
    step = f"{move['before'] or 'nothing'} -> {move['version']}"
    why = f"  {move['why']}" if move["why"] else ""
    by = f"  (by {move['by']})" if move["by"] else ""
    return f"{move['time']}  {move['alias']}: {step}{why}{by}"
