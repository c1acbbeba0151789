"""Everything that is told of one version: plain values, and lines of them for a person."""

from typing import Any

from llmops.environments.machine import size_text
from llmops.registry.manifest import Golden, Manifest
from llmops.registry.notes import Notes, tags_text
from llmops.registry.remote.seen import copy_of
from llmops.registry.report import aliases_text, entry_of, evidence_of, evidence_text
from llmops.registry.store import Registry
from llmops.registry.tuning import tuning_of

Found = dict[str, Any]


def shown(manifest: Manifest, registry: Registry) -> Found:
    """The manifest and what is recorded beside it; of its golden prompts the number and the
    first. notes: records of notes.py, tags as they came and went."""
    version = str(manifest.id)
    return {
        **entry_of(manifest, registry),
        **manifest.model_dump(mode="json", exclude={"golden"}),
        "directory": str(registry.directory(manifest)),
        "hub": copy_of(manifest.id, registry.paths),
        "tuning": tuning_of(manifest, registry.directory(manifest)),
        "golden": len(manifest.golden),
        "first_golden": _prompt(manifest.golden[0]) if manifest.golden else None,
        "history": [
            move.model_dump()
            for move in registry.history(manifest.name)
            if version in (move.version, move.before)
        ],
        "children": [str(child.id) for child in registry.children(manifest.id)],
        "evidence": [piece.model_dump() for piece in evidence_of(version, registry)],
        "notes": [note.model_dump() for note in Notes(registry.paths).of(manifest.id)],
    }


def lines(found: Found) -> list[str]:
    """The result of `shown` for a person."""
    lineage = found["lineage"]
    out = [f"{name:14}{value}" for name, value in _facts(found).items() if value]
    licences, packages = found["licences"]["data"], lineage["packages"]
    out += _section("data", [_data(item) for item in lineage["data"]])
    out += _section("snapshots", [f"{s['digest'][:12]}  {s['id']}" for s in lineage["preferences"]])
    out += _section("licences of data", [f"{of or 'unknown'}  {d}" for d, of in licences.items()])
    out += _section("packages", [f"{name} {version}" for name, version in packages.items()])
    out += _section("metrics", [f"{key:32} {value:g}" for key, value in found["metrics"].items()])
    out += _section("files", [f"{digest[:12]}  {name}" for name, digest in found["files"].items()])
    out += _section(
        "evidence", [f"{piece['time']}  {evidence_text(piece)}" for piece in found["evidence"]]
    )
    out += _section("notes", [_note(note) for note in found["notes"]])
    return out + _section("alias moves", [_move(move) for move in found["history"]])


def _facts(found: Found) -> Found:
    lineage, licences = found["lineage"], found["licences"]
    return {
        "version": found["version"],
        "kind": _kind(found),
        "stage": found["stage"],
        "tuning": found["tuning"],
        "aliases": aliases_text(found["aliases"], found["overridden"]),
        "tags": tags_text(found["tags"]),
        "created": found["created"],
        "directory": f"{found['directory']}  ({size_text(found['size'])})",
        "on the Hub": found["hub"],
        "digest": found["digest"],
        "fingerprint": found["fingerprint"],
        "dtype": found["dtype"],
        "base": _with_digest(found["base"], found["base_digest"]),
        "trained from": lineage["parent"],
        "template": _template(found),
        "licence": (licences["own"] or "unknown") if lineage["imported_from"] else licences["own"],
        "base licence": (licences["base"] or "unknown") if lineage["parent"] else licences["base"],
        "recipe": lineage["recipe"],
        "run": " ".join(str(lineage[key]) for key in ("run", "stage", "attempt") if lineage[key]),
        "stopped": lineage["stopped"],
        "engine": " ".join(lineage[key] for key in ("engine", "engine_version") if lineage[key]),
        "imported from": lineage["imported_from"],
        "children": ", ".join(found["children"]),
        "golden": f"{found['golden']} prompts" if found["golden"] else "none: nothing verifies it",
        "first golden": found["first_golden"],
    }


def _kind(found: Found) -> str:
    rank, alpha = found["lora_rank"], found["lora_alpha"]
    told = [found["kind"], f"rank {rank}" if rank else "", f"alpha {alpha:g}" if alpha else ""]
    return ", ".join(filter(None, told))


def _template(found: Found) -> str:
    template = found["template"]
    if template is None:
        return "unknown"
    if template["name"]:
        return f"{template['name']}, of the engine"
    sha256 = template["sha256"]
    whose = "its own" if found["kind"] == "full" else "of its base"
    return f"{whose}  (sha256 {sha256})" if sha256 else "none"


def _prompt(golden: Golden) -> str:
    if golden.messages is not None:
        return " / ".join(f"{turn['role']}: {turn['content']}" for turn in golden.messages)
    return golden.text or ""


def _with_digest(base: str | None, digest: str | None) -> str:
    return f"{base}  (sha256 {digest})" if base and digest else base or ""


def _section(title: str, items: list[str]) -> list[str]:
    return ["", title, *(f"  {item}" for item in items)] if items else []


def _data(item: Found) -> str:
    return f"{item['sha256'][:12]}  {item['path']}  {item['samples']} samples"


def _note(note: Found) -> str:
    set_ = {key: value for key, value in note["tags"].items() if value is not None}
    gone = [key for key, value in note["tags"].items() if value is None]
    said = [note["text"], tags_text(set_) and f"tagged {tags_text(set_)}"]
    said.append(f"no longer {', '.join(gone)}" if gone else "")
    return f"{note['time']}  {'; '.join(filter(None, said))}  (by {note['by']})"


def _move(move: Found) -> str:
    step = f"{move['before'] or 'nothing'} -> {move['version']}"
    why = f"  {move['why']}" if move["why"] else ""
    by = f"  (by {move['by']})" if move["by"] else ""
    return f"{move['time']}  {move['alias']}: {step}{why}{by}"
