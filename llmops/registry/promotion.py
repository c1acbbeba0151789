"""Moves of an alias by hand: on evidence or by a recorded override, freely where nothing is asked
for, and one step back.

Pipelines move in stages/promote.py. What a move needs, and stands on, is in standing.py.
"""

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime

from llmops.errors import BadInput, Failed, GateRefused, LlmopsError, NotFound
from llmops.registry.aliases import OVERRIDE, ROLLBACK, Move, check_alias
from llmops.registry.evidence import Evidence, EvidenceLog
from llmops.registry.integrity import sealed
from llmops.registry.manifest import Manifest, VersionId
from llmops.registry.standing import needs, policy_of, stands_on
from llmops.registry.store import Registry
from llmops.spec.policy import Policy
from llmops.store.digest import sha256_tree

_WAYS = {
    "evaluation": "evaluate it (`kind: evaluate` with a gate)",
    "experiment": "let an experiment compare it (`experiment:` of a deployment), or declare in "
    "llmops.toml that it needs less ([aliases.NAME.ALIAS])",
}


def promote(
    version: str,
    alias: str,
    registry: Registry,
    *,
    override: str | None = None,
    why: str = "",
    by: str,
) -> Move | None:
    """Let `alias` name `version` (NAME:vN or NAME@ALIAS). None when it does already.

    The evidence that its policy asks for must have passed, on the bytes that the version has.
    override: the reason to move all the same; kept, with what was missing, as evidence of its own.
    Raises GateRefused without such evidence, BadInput for an override without a reason, Failed
    when the version's files are not what they were.
    """
    check_alias(alias)
    target = registry.resolve(version)
    if override is not None and not override.strip():
        raise BadInput("an override needs a reason", fix="it is kept with the version")
    if registry.alias_log.names(target.name, alias) == target.id:
        return None
    check_whole(target, registry)
    policy = policy_of(target.name, alias, registry)
    with registry.alias_log.held(target.name) as held:
        if held.current(alias) == target.id:  # another was as quick
            return None
        stands = stands_on(target, alias, registry, policy)
        on = list(stands.pieces)
        if stands.missing:
            if override is None:
                raise _refused(target, alias, stands.missing, policy)
            on = [_override(target, alias, stands.missing, why=override, by=by)]
            EvidenceLog(registry.paths).add(on[0])
        reasons = [why] if stands.missing else [why, override or ""]
        reasons += [_told(piece) for piece in on]
        reason = "; ".join(part for part in reasons if part)
        ids = [piece.id for piece in on]
        return held.move(alias, target.id, why=reason, by=by, evidence=ids)


def move_freely(version: str, alias: str, registry: Registry, *, why: str, by: str) -> Move | None:
    """Let an alias of which nothing is asked name `version`. None when it does already.

    Raises BadInput for one that moves on evidence.
    """
    check_alias(alias)
    target = registry.resolve(version)
    with registry.alias_log.held(target.name) as held:
        check_free(target.name, alias, registry, f"llmops models promote {target.id} {alias}")
        return held.move(alias, target.id, why=why, by=by)


def check_free(name: str, alias: str, registry: Registry, instead: str) -> None:
    """Raises BadInput when the next move of `alias` needs evidence. instead: what to do then."""
    asked = needs(policy_of(name, alias, registry), registry.alias_log.names(name, alias))
    if asked:
        raise BadInput(
            f"{name}@{alias} moves on evidence ({', '.join(asked)})",
            fix=f"`{instead}`; without the evidence with --override REASON",
        )


def check_whole(version: Manifest, registry: Registry) -> None:
    """Raises Failed when its files are not what was registered. An adapter is read whole; of a
    full model, what was not written since it was last read is taken to be the same: whoever loads
    it reads all of it."""
    folder = registry.directory(version)
    if version.kind == "full" and sealed(folder, version):
        with suppress(OSError):
            found = sha256_tree(registry.digests.tree(folder, version.files))
            registry.digests.save()
            if found == version.digest:
                return
    registry.verify(version)


def _refused(
    target: Manifest, alias: str, missing: Sequence[str], policy: Policy | None
) -> GateRefused:
    wanted = policy.needs if policy else ["evaluation"]
    ways = [_WAYS[need] for need in wanted if need in _WAYS]
    ways = ways or [f"see `llmops models evidence {target.id}`"]
    return GateRefused(
        f"{target.id} does not become {alias}: {'; '.join(missing)}",
        fix=f"{' and '.join(ways)}, or move it all the same: --override REASON",
    )


def _told(piece: Evidence) -> str:
    if piece.kind == "override":
        return f"override ({piece.id}): {piece.summary.partition(': ')[2]}"
    return f"{piece.summary} ({piece.id})"


def _override(version: Manifest, alias: str, missing: list[str], *, why: str, by: str) -> Evidence:
    time = datetime.now(UTC).isoformat(timespec="milliseconds")
    digest = hashlib.sha256(f"{version.id} {alias} {time} {why}".encode()).hexdigest()
    return Evidence(
        id=f"{OVERRIDE}{digest[:16]}",
        time=time,
        kind="override",
        version=str(version.id),
        version_digest=version.digest,
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


def rollback(
    name: str, alias: str, registry: Registry, *, why: str, by: str, leaving: str | None = None
) -> Move:
    """Let an alias name again what it named before it came to its version, in one move. No policy
    is asked: the version stood there before.

    leaving: the version that it is to leave, when whoever asks saw one.
    Raises BadInput when it never named anything else, or names another version than `leaving`;
    Failed when the version before was deleted or is damaged.
    """
    if not registry.has(name):
        raise registry.no_model(name)
    stack = _stack(alias, registry.alias_log.history(name, alias))
    _can_go_back(name, alias, stack, registry)
    _names_still(name, alias, stack[-1], leaving or stack[-1])
    target = _whole_before(name, alias, stack, registry)
    with registry.alias_log.held(name) as held:
        _names_still(name, alias, str(held.current(alias)), stack[-1])
        reason = f"{ROLLBACK}{stack[-1]}" + (f": {why}" if why else "")
        moved = held.move(alias, target, why=reason, by=by)
    assert moved is not None
    return moved


def _can_go_back(name: str, alias: str, stack: Sequence[str], registry: Registry) -> None:
    if not stack:
        known = ", ".join(f"`{one}`" for one in sorted(registry.aliases(name)))
        raise NotFound(
            f"model `{name}` has no alias `{alias}`",
            fix=f"it has {known}" if known else "nothing was ever promoted",
        )
    if len(stack) < 2:
        raise BadInput(
            f"{name}@{alias} named nothing before {stack[-1]}; there is nothing to go back to",
            fix=f"see `llmops models history {name}`, or promote another version: "
            f"`llmops models promote {name}:vN {alias}`",
        )


def _names_still(name: str, alias: str, now: str, seen: str) -> None:
    if now != seen:
        raise BadInput(
            f"{name}@{alias} names {now} by now, not {seen}; nothing was moved",
            fix=f"see `llmops models history {name}`, and roll back again if {now} is to go",
        )


def _whole_before(name: str, alias: str, stack: Sequence[str], registry: Registry) -> VersionId:
    """The version to go back to, which is there and as it was registered."""
    target = VersionId.parse(stack[-2])
    try:
        check_whole(registry.get(target), registry)
        return target
    except LlmopsError as error:
        earlier = (one for one in reversed(stack[:-2]) if one != stack[-1] and registry.known(one))
        another = next(earlier, f"{name}:vN")
        raise Failed(
            f"{name}@{alias} cannot go back to {target}: {error.what}",
            where=error.where,
            fix=f"another version, on record: `llmops models promote {another} {alias} "
            "--override REASON`",
        ) from error
