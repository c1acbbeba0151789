"""Forgetting a user: `llmops feedback forget --user ID`.

What the user sent and got, what the user said, and what others said about the user's answers is
erased from the log; a tombstone stays, with a keyed hash of what stood there, and records of the
user that come in late are erased on their way in. Rows of snapshots go by their ids. What cannot
be changed is told: versions that trained on such rows or show such texts as golden prompts, and
segments of the journal that are still being written. Doing it again finishes what was interrupted;
it also finds what a run that had read the log before saved as a snapshot after, which nothing here
waits for.
"""

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Collection
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import orjson
import sqlalchemy as sa

from llmops.feedback import segments
from llmops.feedback.identity import LENGTH, Identity
from llmops.feedback.ingest import ingest
from llmops.feedback.redaction import (
    FEEDBACK_TEXTS,
    INFERENCE_TEXTS,
    chunks,
    purge,
    redact_events_about,
    redact_feedback,
    redact_inferences,
)
from llmops.feedback.rows import loaded
from llmops.registry.manifest import VersionId
from llmops.registry.remote.seen import copy_of
from llmops.registry.store import Registry
from llmops.spec.source import display
from llmops.store.database import reading, writing
from llmops.store.paths import ProjectPaths
from llmops.store.tables import feedback, inferences, tombstones


@dataclass(frozen=True)
class TouchedSnapshot:
    """A snapshot of preferences that rows are erased from. before, after: its digests; no `after`
    while they are there, or when the snapshot is gone. versions: that trained on it as it was."""

    id: str
    rows: int
    before: str
    after: str | None
    versions: list[str]


_OPEN = "still being written; closed within a minute, and the next ingest takes it away"
_NEWER = "waits for a newer llmops to read it"
_ID = re.compile(rf"[0-9a-v]{{{LENGTH}}}")


class Eraser(Protocol):
    """Erases rows of snapshots (lineage/uses.py)."""

    def holding(self, ids: Collection[str]) -> list[TouchedSnapshot]:
        """All with rows that came from these inferences and events."""

    def erase(self, ids: Collection[str], held: list[TouchedSnapshot]) -> list[TouchedSnapshot]:
        """Erase such rows everywhere; `held` with what became of each."""


@dataclass(frozen=True)
class Forgotten:
    """What became of a user's data. user: as stored. inferences, events: rows whose texts were
    erased now; known: all rows that were found. snapshots: those that lost rows, now or when this
    was done before. golden: versions with golden prompts that hold the user's texts. segments:
    files of the journal that still hold records, and why. files: suites and reports that name the
    user's answers. remote: where a version of these lay on the Hub when it was last asked. purged:
    whether the database's files lost the texts already."""

    user: str
    tombstone: str
    inferences: int
    events: int
    known: int
    snapshots: list[TouchedSnapshot]
    golden: list[str]
    segments: dict[str, str]
    files: list[str]
    remote: dict[str, str]
    purged: bool

    def record(self) -> dict[str, Any]:
        return asdict(self)


@dataclass
class _Found:
    """All rows of a user."""

    inferences: list[str] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    texts: set[str] = field(default_factory=set)


def forget(
    user: str, paths: ProjectPaths, database: sa.Engine, identity: Identity, eraser: Eraser
) -> Forgotten:
    """Erase a user's texts everywhere in reach. user: as applications name the user.

    Raises Failed when something cannot be read or written; do it again then.
    """
    hashed = identity.user(user)
    ingest(paths, database)
    now = int(time.time() * 1000)
    with writing(database) as connection:
        found, digest = _gather(connection, hashed, identity)
        golden = _golden(found.texts, paths)
        answers = redact_inferences(connection, inferences.c.user == hashed, now)
        events = redact_feedback(connection, feedback.c.user == hashed, now)
        events += redact_events_about(connection, found.inferences, now)
        tombstone = _tombstone(connection, hashed, now, (answers, events), digest, golden)
    purged = purge(database)
    ids = {*found.inferences, *found.events}
    snapshots = _erase_rows(database, hashed, tombstone, ids, eraser) if ids else []
    shown, registry = _all_golden(database, hashed), Registry(paths)
    return Forgotten(
        user=hashed,
        tombstone=tombstone,
        inferences=answers,
        events=events,
        known=len(ids),
        snapshots=snapshots,
        golden=[one for one in shown if registry.known(one) is not None],
        segments=_segments(paths, hashed, set(found.inferences)),
        files=_naming(paths, set(found.inferences)),
        remote=_remote({*shown, *(name for one in snapshots for name in one.versions)}, paths),
        purged=purged,
    )


def _gather(connection: sa.Connection, user: str, identity: Identity) -> tuple[_Found, str]:
    """The user's rows, and a keyed hash over the texts that are left in them, by id."""
    found, mac = _Found(), hmac.new(identity.secret, b"erased\0", hashlib.sha256)
    query = sa.select(inferences).where(inferences.c.user == user).order_by(inferences.c.id)
    for row in connection.execute(query).mappings():
        found.inferences.append(row["id"])
        mac.update(orjson.dumps([row["id"], *(row[name] for name in INFERENCE_TEXTS)]))
        found.texts.update(_contents(row["messages"]))
        found.texts.update([row["response"]] if row["response"] else [])
    about = [feedback.c.user == user]
    for some in chunks(found.inferences):
        about.append(feedback.c.inference.in_(some) | feedback.c.other.in_(some))
    rows: dict[str, Any] = {}
    for condition in about:
        for event in connection.execute(sa.select(feedback).where(condition)).mappings():
            rows[event["id"]] = [event["id"], *(event[name] for name in FEEDBACK_TEXTS)]
            found.texts.update([event["text"]] if event["text"] else [])
    for name in sorted(rows):
        found.events.append(name)
        mac.update(orjson.dumps(rows[name]))
    return found, mac.hexdigest()


def _contents(messages: str | None) -> set[str]:
    """What was said in a chat, the system's words left out: they are the application's."""
    turns = loaded(messages) or []
    said = [turn for turn in turns if isinstance(turn, dict) and turn.get("role") != "system"]
    return {turn["content"] for turn in said if isinstance(turn.get("content"), str)}


def _golden(texts: set[str], paths: ProjectPaths) -> list[str]:
    """Versions whose golden prompts hold one of these texts."""
    registry = Registry(paths)
    return [
        str(manifest.id)
        for name in registry.names()
        for manifest in registry.versions(name)
        if any(
            {golden.text, *(turn.get("content") for turn in golden.messages or [])} & texts
            for golden in manifest.golden
        )
    ]


def _tombstone(
    connection: sa.Connection,
    user: str,
    now: int,
    counts: tuple[int, int],
    digest: str,
    golden: list[str],
) -> str:
    name = secrets.token_hex(16)
    detail = {"hmac_sha256": digest, "golden": golden}
    row = {"id": name, "user": user, "time": now, "detail": orjson.dumps(detail).decode()}
    figures = {"inferences": counts[0], "events": counts[1]}
    connection.execute(sa.insert(tombstones).values(**row, **figures))
    return name


def _erase_rows(
    database: sa.Engine, user: str, tombstone: str, ids: set[str], eraser: Eraser
) -> list[TouchedSnapshot]:
    """The tombstone names the snapshots before anything goes: what is gone cannot be found by its
    ids again, and versions that trained on it are to be named each time."""
    held = [asdict(one) for one in eraser.holding(ids)]
    known: dict[str, TouchedSnapshot] = {}
    with writing(database) as connection:
        own = sa.select(tombstones.c.detail).where(tombstones.c.id == tombstone)
        detail = orjson.loads(connection.scalars(own).one()) | {"snapshots": held}
        changed = sa.update(tombstones).where(tombstones.c.id == tombstone)
        connection.execute(changed.values(detail=orjson.dumps(detail).decode()))
        of_user = sa.select(tombstones.c.detail).where(tombstones.c.user == user)
        for text in connection.scalars(of_user.order_by(tombstones.c.time)):
            for entry in orjson.loads(text).get("snapshots", []):
                one = TouchedSnapshot(**entry)
                first = known.setdefault(one.id, one)
                versions = sorted({*first.versions, *one.versions})
                known[one.id] = replace(first, versions=versions)
    return eraser.erase(ids, list(known.values()))


def _all_golden(database: sa.Engine, user: str) -> list[str]:
    """From all tombstones of the user: when it is done again, the texts are gone already."""
    with reading(database) as connection:
        details = connection.scalars(
            sa.select(tombstones.c.detail).where(tombstones.c.user == user)
        )
        return sorted({version for text in details for version in orjson.loads(text)["golden"]})


def _remote(versions: set[str], paths: ProjectPaths) -> dict[str, str]:
    places = {one: copy_of(VersionId.parse(one), paths) for one in sorted(versions)}
    return {version: place for version, place in places.items() if place}


def _segments(paths: ProjectPaths, user: str, ids: set[str]) -> dict[str, str]:
    """Files of the journal that still hold the user's records, and what becomes of them."""
    found = {}
    for writer in segments.writers(paths.journal):
        for segment in segments.segments(paths.journal, writer):
            closed = segments.is_closed(segment)
            if _holds(segment.path, user.encode(), ids):
                found[display(segment.path)] = _NEWER if closed else _OPEN
    for file in sorted(paths.damaged("x", "x").parent.parent.glob("*/*")):
        if _holds(file, user.encode(), ids):
            found[display(file)] = "damaged lines of the journal; remove it by hand"
    return found


def _naming(paths: ProjectPaths, ids: set[str]) -> list[str]:
    """Suites, and reports of evaluations, with items that were made of these answers."""
    folders = [paths.root / "suites", paths.evaluations]
    files = [file for folder in folders for file in sorted(folder.rglob("*")) if file.is_file()]
    return [
        display(file)
        for file in files
        if ids.intersection(_ID.findall(file.read_text(encoding="utf-8", errors="replace")))
    ]


def _holds(file: Path, user: bytes, ids: set[str]) -> bool:
    try:
        text = file.read_bytes()
    except FileNotFoundError:
        return False
    if user in text:
        return True
    for line in text.splitlines():
        try:
            record = orjson.loads(line)
        except orjson.JSONDecodeError:
            continue
        if isinstance(record, dict) and {record.get("inference"), record.get("other")} & ids:
            return True
    return False
