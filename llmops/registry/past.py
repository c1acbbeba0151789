"""Where an alias stood, when and why: its moves with their evidence, and what it named at a time.

The order of the moves is that of the log; their times are a machine's clock, which may have been
set back. `at` then says what may have been, never what cannot be known.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import accumulate, pairwise
from typing import Any

from llmops.errors import BadInput, LlmopsError
from llmops.registry.aliases import Move
from llmops.registry.deletion import tombstone
from llmops.registry.evidence import Evidence, EvidenceLog
from llmops.registry.manifest import Manifest, VersionId
from llmops.registry.remote.seen import moves_there
from llmops.registry.report import evidence_text
from llmops.registry.store import Registry

COLUMNS = ("time", "alias", "from", "to", "why", "evidence", "by")
_SKEW = timedelta(minutes=1)
"""By which the clocks of machines differ without being wrong."""
_MADE_OF = {"digest", "kind", "stage", "base", "base_digest", "lineage"}


def moves(
    name: str, alias: str | None, registry: Registry, *, hub: bool = False
) -> list[dict[str, Any]]:
    """The moves of a model's aliases, or of one, oldest first, each with the pieces of evidence
    that it stood on. hub: of all machines that push, as they were seen last. Raises BadInput when
    there is no such model or alias."""
    history = moves_there(name, registry.paths) if hub else registry.history(name)
    if alias is not None:
        _known(name, alias, history)
    pieces = _pieces(name, registry) if any(move.evidence for move in history) else {}
    return [_told(move, pieces) for move in history if alias in (None, move.alias)]


def row(move: dict[str, Any]) -> tuple[str, ...]:
    """One of `moves` as the cells of COLUMNS."""
    evidence = ", ".join(piece["file"] or piece["id"] for piece in move["evidence"])
    before = move["before"] or "-"
    told = move["time"], move["alias"], before, move["version"], move["why"], evidence or "-"
    return *told, move["by"]


def at(name: str, alias: str, time: str, registry: Registry) -> dict[str, Any]:
    """What `alias` of model `name` named at a time, since when, why, and what that was made of.

    version: None when it named nothing yet, and when the clock was set back around that time:
    then `possible` has more than one. until: of the next move; made_of: None for what is not known.
    Raises BadInput when there is no such model or alias, or the time is none, or yet to come.
    """
    history = registry.history(name)
    _known(name, alias, history)
    when, now = moment(time), datetime.now(UTC)
    if when > now:
        raise BadInput(f"{_shown(when)} has yet to come", fix="a time in the past")
    held = _possible(history, alias, when, now)
    found: dict[str, Any] = {
        "model": name,
        "alias": alias,
        "time": when.isoformat(),
        "version": None,
        "possible": [move.version if move else None for move, _ in held],
        "until": None,
        "made_of": None,
    }
    if len(held) > 1:
        return found
    move, following = held[0]
    found["until"] = following.time if following else None
    if move is not None:
        told = _told(move, _pieces(name, registry) if move.evidence else {})
        found |= {"since": told.pop("time"), **told}
        found["made_of"] = _made_of(move.version, registry)
    return found


def lines(found: dict[str, Any]) -> list[str]:
    """The result of `at` for a person."""
    named = f"{found['model']}@{found['alias']}"
    when = _shown(datetime.fromisoformat(found["time"]))
    if len(found["possible"]) > 1:
        which = ", ".join(version or "nothing" for version in found["possible"])
        return [
            f"{when}: {named} named one of {which}, in this order: the clock was set back then",
            f"the moves in their order: llmops models history {found['model']}",
        ]
    until = f" until {found['until']}" if found["until"] else ""
    if found["version"] is None:
        return [f"{when}: {named} named nothing yet{until}"]
    made = found["made_of"] or {}
    lineage = made.get("lineage", {})
    facts = {
        "since": f"{found['since']}{until}",
        "why": found["why"],
        "by": found["by"],
        "kind": f"{made['kind']}, {made['stage']}" if made else "",
        "digest": made.get("digest"),
        "base": made.get("base"),
        "trained from": lineage.get("parent"),
        "recipe": lineage.get("recipe"),
        "run": lineage.get("run"),
        "imported from": lineage.get("imported_from"),
        "deleted": made.get("deleted"),
    }
    told = [f"{when}: {named} named {found['version']}"]
    told += [f"{key:14}{value}" for key, value in facts.items() if value]
    told += [f"{'evidence':14}{_piece(one)}" for one in found["evidence"]]
    told += [f"{'data':14}{one['sha256'][:12]}  {one['path']}" for one in lineage.get("data", [])]
    used = lineage.get("preferences", [])
    return told + [f"{'pairs':14}{one['digest'][:12]}  {one['id']}" for one in used]


def moment(text: str) -> datetime:
    """A time that a person gave, UTC where it names no zone; a date is its first moment.

    Raises BadInput for anything else.
    """
    try:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        fix = "such as 2026-11-01T12:00Z, 2026-11-01T13:00+01:00 or 2026-11-01 (UTC)"
        raise BadInput(f"`{text}` is no time", fix=fix) from None


def _possible(
    history: Sequence[Move], alias: str, when: datetime, now: datetime
) -> list[tuple[Move | None, Move | None]]:
    """The move (None: before the first) after which `alias` stood at that time, with the next one
    of that alias; more than one where times contradict the order of the log."""
    earliest, latest = _bounds([datetime.fromisoformat(move.time) for move in history], now)
    mine = [None, *(n for n, move in enumerate(history) if move.alias == alias), None]
    found = []
    for this, following in pairwise(mine):
        begun = this is None or earliest[this] <= when
        if begun and (following is None or when < latest[following]):
            before = None if this is None else history[this]
            found.append((before, None if following is None else history[following]))
    return found


def _bounds(times: Sequence[datetime], now: datetime) -> tuple[list[datetime], list[datetime]]:
    """Between which times each move came. A time is believed unless one before is later, or one
    after, or now, earlier: either may be the wrong one, so such moves came at any time between
    those around them that are believed."""
    highest = [*accumulate(times, max)]
    lowest = [*accumulate(reversed([*times, now]), min)][:0:-1]
    believed = [
        time if high - time <= _SKEW and time - low <= _SKEW else None
        for time, high, low in zip(times, highest, lowest, strict=True)
    ]

    def filled(found: Iterable[datetime | None], start: datetime) -> list[datetime]:
        last = [start]
        for time in found:
            last.append(time or last[-1])
        return last[1:]

    after = filled(reversed(believed), now)
    return filled(believed, datetime.min.replace(tzinfo=UTC)), after[::-1]


def _known(name: str, alias: str, history: Sequence[Move]) -> None:
    known = sorted({move.alias for move in history})
    if alias not in known:
        listed = ", ".join(f"`{one}`" for one in known)
        raise BadInput(
            f"model `{name}` has no alias `{alias}`",
            fix=f"it has {listed}" if known else "nothing was ever promoted",
        )


def _pieces(name: str, registry: Registry) -> dict[str, Evidence]:
    return {piece.id: piece for piece in EvidenceLog(registry.paths).of(name)}


def _told(move: Move, pieces: dict[str, Evidence]) -> dict[str, Any]:
    """A piece that is not in the log is told by its id alone."""
    told = move.model_dump()
    kept = {"id", "kind", "passed", "summary", "missing", "file"}
    told["evidence"] = [
        pieces[one].model_dump(include=kept) if one in pieces else {"id": one, "file": None}
        for one in move.evidence
    ]
    return told


def _piece(piece: dict[str, Any]) -> str:
    if "kind" not in piece:
        return f"{piece['id']}, which is not in the log of evidence"
    return evidence_text(piece)


def _made_of(version: str, registry: Registry) -> dict[str, Any] | None:
    """Also of a version that was deleted; None when nothing is left of it."""
    identity = VersionId.parse(version)
    manifest: Manifest | None = registry.known(version)
    told = ""
    if manifest is None:
        try:
            left = tombstone(identity, registry.paths)
        except LlmopsError:
            return None
        if left is None:
            return None
        manifest, told = left.manifest, left.error.what
    made = manifest.model_dump(mode="json", include=_MADE_OF)
    del made["lineage"]["resolved"]
    return {**made, "deleted": told or None}


def _shown(when: datetime) -> str:
    return f"{when:%Y-%m-%d %H:%M:%S} UTC"
