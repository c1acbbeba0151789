"""Watching a run from its files: figures, logs, its graph, and what changes.

No database and no process is asked, so what is told here is told of any run, from any process, at
any time. What the engine writes is read by the engine's own follower.

    llmops runs events last
"""

import asyncio
import json
import math
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from llmops.engines.catalog import ENGINES, find_engine
from llmops.engines.contract import Progress, ProgressFollower
from llmops.errors import NotFound
from llmops.registry.store import Registry
from llmops.runner.alarm import alarms
from llmops.runner.log_part import log_part
from llmops.runner.record import RunRecord, StageRecord, find_run
from llmops.runner.running import Records
from llmops.spec.suggest import did_you_mean
from llmops.store.paths import ProjectPaths
from llmops.store.run_paths import AttemptPaths

POLL_SECONDS = 0.5
MORE = ("epoch", "grad_norm", "margin", "chosen", "memory_bytes", "device_memory_bytes")
"""Figures that are told as they are."""
FIRST_BYTES = 16_384
"""Of a log that nobody has seen yet, the last so many bytes are told."""


def metrics(
    paths: ProjectPaths, run: str, stage: str, after_step: int | None = None
) -> dict[str, Any]:
    """The figures of a stage's last attempt: {"items", "total", "finished"}, a figure None where
    the engine did not report it. after_step: only what came later.

    Raises BadInput for a run or a stage that is not there.
    """
    _, found = _stage(paths, run, stage)
    told = readings(paths, run, stage)
    items = figures_of(told)
    return {
        "items": [item for item in items if after_step is None or _is_after(item, after_step)],
        "total": max((reading.total for reading in told), default=0),
        "finished": found.state not in ("running", "waiting"),
    }


def readings(paths: ProjectPaths, run: str, stage: str) -> list[Progress]:
    """All that a stage's last attempt has told so far. Raises BadInput as `metrics`."""
    record, found = _stage(paths, run, stage)
    attempt = _attempt(paths, record, found)
    return _follower(paths, record, stage, attempt).poll() if attempt is not None else []


def warnings(paths: ProjectPaths, run: str) -> list[str]:
    """What the user should know of a run's stages, as it was told while they trained."""
    found, registry = [], Registry(paths)
    for stage in find_run(paths, run).stages:
        told = readings(paths, run, stage.name) if stage.attempt is not None else []
        said = [reading.warning for reading in told if reading.warning]
        seen = [f"step {alarm.step}: {alarm.kind}: {alarm.text}" for alarm in alarms(told)]
        made = registry.known(stage.output)
        ended = [made.lineage.stopped] if made is not None and made.lineage.stopped else []
        found += [f"{stage.name}: {text}" for text in said + seen + ended]
    return found


def log(paths: ProjectPaths, run: str, stage: str | None, offset: int = 0) -> dict[str, Any]:
    """A part of a stage's log, or of the run's own (stage None): {"text", "offset", "size"}.

    offset: a byte to begin at, below 0 counted from the end; in the answer, where the next part
    begins. What cannot be decoded is replaced. Raises BadInput as `metrics`.
    """
    if stage is None:
        return log_part(paths.run_log(run), offset)
    record, found = _stage(paths, run, stage)
    attempt = _attempt(paths, record, found)
    return log_part(attempt.log, offset) if attempt is not None else log_part(None, 0)


def graph(paths: ProjectPaths, run: str) -> dict[str, Any]:
    """{"nodes": [{"name", "kind", "state", ...}], "edges": [[from, to]]} of a run's stages.

    Raises BadInput for a run that is not there, or has not begun.
    """
    record = find_run(paths, run)
    names = [stage.name for stage in record.stages]
    keys = ("name", "kind", "output", "started", "seconds", "error")
    return {
        "nodes": [
            {**{key: getattr(stage, key) for key in keys}, "state": stage.shown}
            for stage in record.stages
        ],
        "edges": [
            [before, stage["stage"]]
            for stage in _plan(paths, record.id)
            for before in stage.get("needs", ())
            if before in names
        ],
    }


@dataclass(frozen=True)
class Change:
    """Something new. event: stage, alarm, metrics, log or end; id: where one who comes back goes
    on."""

    event: str
    data: dict[str, Any]
    id: str


@dataclass
class Watch:
    """What changes in one run. seen: the id of the last change that is known."""

    paths: ProjectPaths
    run: str
    seen: str = ""
    _told: dict[str, dict[str, Any]] = field(default_factory=dict)
    _stages: dict[str, "_Stage"] = field(default_factory=dict)
    _alarmed: dict[tuple[str, int | None], int] = field(default_factory=dict)
    over: bool = False

    def __post_init__(self) -> None:
        self._records = Records(self.paths)

    def poll(self) -> list[Change]:
        """What is new since the last call, oldest first; the first call tells how things are. A
        run that has not begun tells nothing; one that waits or has ended is over."""
        record = self._records.get(self.run)
        if record is None or self.over:
            return []
        found: list[Change] = []
        for stage in record.stages:
            found += self._stage(record, stage)
        if record.state != "running":
            self.over = True
            end = {"state": record.state, "ended": record.ended}
            found.append(Change("end", end, self.seen))
        return found

    def _stage(self, record: RunRecord, stage: StageRecord) -> Iterator[Change]:
        kept = stage.model_dump(exclude={"declared", "digest", "alarms"})
        state = {**kept, "state": stage.shown}
        new = self._told.get(stage.name) != state
        self._told[stage.name] = state
        if new:
            yield Change("stage", state, self.seen)
        yield from self._alarms(stage)
        attempt = _attempt(self.paths, record, stage)
        if attempt is None or self._is_past(record, stage):
            return
        part = self._stages.get(stage.name)
        if part is None or part.attempt != attempt:
            follower = _follower(self.paths, record, stage.name, attempt)
            part = _Stage(attempt, follower, *self._position(stage))
            self._stages[stage.name] = part
        elif stage.state != "running" and not new:
            return  # it writes no more
        for event, data in part.poll():
            self.seen = f"{stage.name}:{stage.attempt}:{part.count}:{part.offset}"
            yield Change(event, {"stage": stage.name, **data}, self.seen)

    def _alarms(self, stage: StageRecord) -> Iterator[Change]:
        told = self._alarmed.get((stage.name, stage.attempt), 0)
        self._alarmed[stage.name, stage.attempt] = len(stage.alarms)
        for alarm in stage.alarms[told:]:
            yield Change("alarm", {"stage": stage.name, **alarm.model_dump()}, self.seen)

    def _position(self, stage: StageRecord) -> tuple[int, int]:
        """How many readings and bytes of the stage's log are known."""
        name, attempt, count, offset = (self.seen.split(":") + [""] * 4)[:4]
        if name != stage.name or attempt != str(stage.attempt):
            return 0, -FIRST_BYTES
        return (int(count), int(offset)) if count.isdigit() and offset.isdigit() else (0, 0)

    def _is_past(self, record: RunRecord, stage: StageRecord) -> bool:
        """Whether one who comes back knows all of the stage."""
        names = [one.name for one in record.stages]
        seen = self.seen.split(":")[0]
        return seen in names and names.index(stage.name) < names.index(seen)


async def changes(paths: ProjectPaths, run: str, seen: str = "") -> AsyncIterator[Change | None]:
    """The changes of a run until it is over; None now and then while nothing changes. seen: the
    id of the last one that is known."""
    watch = Watch(paths, run, seen)
    while not watch.over:
        found = await asyncio.to_thread(watch.poll)
        for change in found:
            yield change
        if not found:
            yield None
        await asyncio.sleep(POLL_SECONDS)


@dataclass
class _Stage:
    """What one attempt writes. count: readings that are known; offset: bytes of its log."""

    attempt: AttemptPaths
    follower: ProgressFollower
    known: int
    offset: int
    count: int = 0

    def poll(self) -> Iterator[tuple[str, dict[str, Any]]]:
        readings = self.follower.poll()
        skipped = max(0, self.known - self.count)
        self.count += len(readings)
        new = readings[skipped:]
        if items := figures_of(new):
            yield "metrics", {"items": items, "total": new[-1].total, "phase": new[-1].phase}
        while (part := log_part(self.attempt.log, self.offset))["text"]:
            self.offset = part["offset"]
            yield "log", part


def figures_of(readings: Iterable[Progress]) -> list[dict[str, Any]]:
    """The figures by step. What an evaluation tells joins the training's of the same step."""
    found: dict[int, dict[str, Any]] = {}
    for reading in readings:
        if not reading.values and reading.learning_rate is None:
            continue  # the entry into a phase
        values = reading.values
        evaluated = "eval_loss" in values
        item = {
            "step": reading.step,
            "total": reading.total,
            "loss": None if evaluated else reading.loss,
            "learning_rate": reading.learning_rate,
            "tokens_per_s": reading.tokens_per_s,
            "accuracy": values.get("accuracy"),
            "eval_loss": values.get("eval_loss"),
            "elapsed_s": reading.elapsed_s,
            **{name: values.get(name) for name in MORE},
        }
        before = found.setdefault(reading.step, item)
        before.update({key: value for key, value in item.items() if value is not None})
    return [{key: _finite(value) for key, value in item.items()} for item in found.values()]


def _finite(value: Any) -> Any:
    """JSON knows no NaN: a training that diverges has no loss; the alarms say so."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _is_after(item: dict[str, Any], step: int) -> bool:
    """An evaluation is told after the step that it is of."""
    return item["step"] > step or (item["step"] == step and item["eval_loss"] is not None)


def _stage(paths: ProjectPaths, run: str, stage: str) -> tuple[RunRecord, StageRecord]:
    record = find_run(paths, run)
    names = {one.name: one for one in record.stages}
    if stage not in names:
        fix = did_you_mean(stage, names)
        raise NotFound(f"no stage `{stage}` in run {record.id}", fix=fix)
    return record, names[stage]


def _attempt(paths: ProjectPaths, record: RunRecord, stage: StageRecord) -> AttemptPaths | None:
    if stage.attempt is None:
        return None
    return paths.run(record.id).attempt(stage.name, stage.attempt)


def _follower(
    paths: ProjectPaths, record: RunRecord, stage: str, attempt: AttemptPaths
) -> ProgressFollower:
    planned = next((one for one in _plan(paths, record.id) if one["stage"] == stage), {})
    return find_engine(planned.get("engine") or next(iter(ENGINES))).follow(attempt)


def _plan(paths: ProjectPaths, run: str) -> list[dict[str, Any]]:
    """The stages of the plan that the run began with; none when it was killed before."""
    try:
        stages: list[dict[str, Any]] = json.loads(paths.run(run).plan.read_bytes())["stages"]
    except (OSError, ValueError, KeyError):
        return []
    return stages
