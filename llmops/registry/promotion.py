"""Moves of an alias by hand: on evidence or by a recorded override, and one step back.

`llmops models alias` moves without asking; pipelines move in stages/promote.py.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from llmops.errors import BadInput, GateRefused
from llmops.registry.aliases import Move, check_alias
from llmops.registry.evidence import Evidence, EvidenceLog
from llmops.registry.manifest import VersionId
from llmops.registry.store import Registry

_ROLLBACK = "rollback from "


@dataclass(frozen=True)
class Standing:
    """What a promotion of a version would stand on. decides: the piece of evidence; missing: what
    it lacks, in words; nothing when an alias may move to that version."""

    decides: Evidence | None
    missing: list[str]


def standing(version: VersionId, evidence: EvidenceLog) -> Standing:
    """Its newest evaluation with a gate, or experiment, must have passed."""
    newest = _newest(version, evidence)
    return Standing(newest, _missing(version, newest))


def promote(
    version: str,
    alias: str,
    registry: Registry,
    evidence: EvidenceLog,
    *,
    override: bool,
    why: str,
    by: str,
) -> Move | None:
    """Let `alias` name `version` (NAME:vN or NAME@ALIAS). None when it does already.

    Its newest evaluation with a gate, or experiment, must have passed. override: move all the
    same; what was missing is kept with the reason as evidence of its own.
    Raises GateRefused without such evidence, BadInput for an override without a reason.
    """
    check_alias(alias)
    target = registry.resolve(version)
    if override and not why.strip():
        raise BadInput("an override needs a reason", fix="--why TEXT; it is kept with the version")
    if registry.aliases(target.name).get(alias) == target.number:
        return None
    stands = standing(target.id, evidence)
    newest, missing = stands.decides, stands.missing
    if missing and not override:
        raise GateRefused(
            f"{target.id} does not become {alias}: {'; '.join(missing)}",
            fix="evaluate it (`kind: evaluate` with a gate), or move it all the same: --override "
            "--why TEXT",
        )
    reason = why
    if missing:
        piece = _override(target.id, alias, missing, why=why, by=by)
        evidence.add(piece)
        reason = f"override ({piece.id}): {why}"
    elif newest is not None:
        reason = "; ".join(part for part in (why, f"{newest.summary} ({newest.id})") if part)
    return registry.move(target.name, alias, target.number, why=reason, by=by)


def _newest(version: VersionId, evidence: EvidenceLog) -> Evidence | None:
    """The last thing that was asked and measured. What was overridden once is no measurement, and
    figures that nobody asked anything of, as `llmops eval run` finds them, take nothing back."""
    pieces = [one for one in evidence.of(version.name, str(version)) if one.kind != "override"]
    decide = [one for one in pieces if one.asks] or pieces
    return decide[-1] if decide else None


def _missing(version: VersionId, newest: Evidence | None) -> list[str]:
    if newest is None:
        return [f"there is no evidence about {version}"]
    return [] if newest.passed else [*(newest.missing or [newest.summary])]


def _override(version: VersionId, alias: str, missing: list[str], *, why: str, by: str) -> Evidence:
    time = datetime.now(UTC).isoformat(timespec="milliseconds")
    digest = hashlib.sha256(f"{version} {alias} {time} {why}".encode()).hexdigest()
    return Evidence(
        id=f"override-{digest[:16]}",
        time=time,
        kind="override",
        version=str(version),
        passed=True,
        summary=f"to {alias}: {why}",
        missing=missing,
        digest=digest,
        by=by,
    )


def back(alias: str, history: Sequence[Move]) -> str | None:
    """The version that `rollback` would lead to; None when there is nothing to go back to.
    history: of the model, oldest first."""
    stack = _stack(alias, history)
    return stack[-2] if len(stack) > 1 else None


def _stack(alias: str, history: Sequence[Move]) -> list[str]:
    """What an alias named, each once left for good dropped; the last is where it stands."""
    stack: list[str] = []
    for move in history:
        if move.alias != alias:
            continue
        if len(stack) > 1 and stack[-2] == move.version:
            stack.pop()  # it went back; rolling back again goes further back, not forth
        else:
            stack.append(move.version)
    return stack


def rollback(name: str, alias: str, registry: Registry, *, why: str, by: str) -> Move:
    """Let an alias name again what it named before it came to its version, in one move.

    Raises BadInput when it never named anything else.
    """
    stack = _stack(alias, registry.history(name))
    if not stack:
        known = ", ".join(f"`{one}`" for one in sorted(registry.aliases(name)))
        raise BadInput(
            f"model `{name}` has no alias `{alias}`",
            fix=f"it has {known}" if known else "nothing was ever promoted",
        )
    if len(stack) < 2:
        raise BadInput(
            f"{name}@{alias} named nothing before {stack[-1]}; there is nothing to go back to",
            fix=f"see `llmops models history {name}`, or name a version: "
            f"`llmops models alias {name}:vN {alias}`",
        )
    number = VersionId.parse(stack[-2]).number
    reason = f"{_ROLLBACK}{stack[-1]}" + (f": {why}" if why else "")
    moved = registry.move(name, alias, number, why=reason, by=by)
    assert moved is not None
    return moved


def is_rollback(move: Move) -> bool:
    """Whether it went back by `rollback`."""
    return move.why.startswith(_ROLLBACK)
