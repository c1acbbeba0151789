"""What happened in a project that people may want to be told: read from its files, whoever made it
happen (the queue, a trigger, a person at a terminal).

Cheap to ask often: a file is read again only when it has changed.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from llmops.registry.aliases import Aliases, Move
from llmops.runner.approval import read_approval
from llmops.runner.record import RunRecord, read_run
from llmops.spec.notify import Event
from llmops.store.paths import ProjectPaths

_ENDS: dict[str, Event] = {"failed": "failed", "died": "failed", "refused": "refused"}
_OPEN = ("running", "waiting", "died")
"""Looked at again though the record did not change: a process may have died, an approval been
asked for; one that died may go on by itself."""


@dataclass(frozen=True)
class Happening:
    """id: the same whoever finds it, and whenever; time: ms since 1970; text: for people; about:
    what it is about, by name."""

    id: str
    event: Event
    time: int
    text: str
    about: dict[str, Any] = field(compare=False, default_factory=dict)


class Happenings:
    """What happened in one project, since this was asked last; at first, all that ever did."""

    def __init__(self, paths: ProjectPaths) -> None:
        self._paths = paths
        self._aliases = Aliases(paths)
        self._marks: dict[Path, int] = {}
        self._open: set[str] = set()

    def news(self) -> list[Happening]:
        """Those that were not told before by this object."""
        return [*self._runs(), *self._moves(), *self._approvals()]

    def _runs(self) -> Iterator[Happening]:
        for name in _names(self._paths.runs):
            changed = self._changed(self._paths.run(name).record)
            if not changed and name not in self._open:
                continue
            record = read_run(self._paths.run(name))
            if record is None:
                continue
            (self._open.add if record.state in _OPEN else self._open.discard)(name)
            yield from _alarms(record)
            if record.state in _ENDS:
                yield _ended(record)

    def _moves(self) -> Iterator[Happening]:
        for name in _names(self._paths.models):
            if not self._changed(self._paths.aliases(name)):
                continue
            moves = self._aliases.history(name)
            yield from (_moved(name, move) for move in moves)

    def _approvals(self) -> Iterator[Happening]:
        for name in sorted(self._open):
            for file in sorted(self._paths.run(name).approval("any").parent.glob("*.json")):
                asked = read_approval(file) if self._changed(file) else None
                if asked is None or asked.decision is not None:
                    continue
                yield Happening(
                    f"approval {asked.run} {asked.stage} {asked.digest} {asked.asked}",
                    "approval",
                    _millis(asked.asked),
                    f"{asked.what}: a person must agree (llmops approve {asked.run} {asked.stage})",
                    {"run": asked.run, "stage": asked.stage, "version": asked.version},
                )

    def _changed(self, file: Path) -> bool:
        try:
            mark = os.stat(file).st_mtime_ns
        except OSError:
            return False
        before = self._marks.get(file)
        self._marks[file] = mark
        return before != mark


def _names(folder: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in os.scandir(folder) if entry.name[0] != ".")
    except FileNotFoundError:
        return []


def _alarms(record: RunRecord) -> Iterator[Happening]:
    for stage in record.stages:
        for alarm in stage.alarms:
            what = f"{alarm.kind}: {alarm.text} (step {alarm.step})"
            yield Happening(
                f"alarm {record.id} {stage.name} {stage.attempt} {alarm.kind}",
                "alarm",
                _millis(alarm.time),
                f"run {record.id} ({record.target}), stage {stage.name}: {what}; {alarm.reaction}",
                {"run": record.id, "stage": stage.name, "target": record.target, "by": record.by}
                | alarm.model_dump(include={"kind", "step", "reaction"}),
            )


def _ended(record: RunRecord) -> Happening:
    event = _ENDS[record.state]
    errors = [stage.error for stage in record.stages if stage.error]
    why = f": {errors[-1]}" if errors else ""
    # A run that died has no end on record; begun again, it is another process.
    at = record.ended or record.process_started
    return Happening(
        f"run {record.id} {record.state} {at}",
        event,
        _millis(record.ended or record.started),
        f"run {record.id} ({record.target}) {_word(record.state)}{why}",
        {"run": record.id, "target": record.target, "by": record.by, "state": record.state},
    )


def _word(state: str) -> str:
    return {"refused": "was refused by a gate"}.get(state, state)


def _moved(name: str, move: Move) -> Happening:
    back = move.rolls_back
    came = f" from {move.before}" if move.before else ""
    why = f": {move.why}" if move.why else ""
    return Happening(
        f"move {name} {move.alias} {move.time} {move.version}",
        "rolled_back" if back else "promoted",
        _millis(move.time),
        f"{name}@{move.alias} {'went back' if back else 'moved'}{came} to {move.version}{why}",
        {"model": name, "alias": move.alias, "version": move.version, "before": move.before}
        | {"by": move.by},
    )


def _millis(time: str) -> int:
    return round(datetime.fromisoformat(time).timestamp() * 1000)
