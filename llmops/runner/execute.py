"""Executing a plan, stage by stage. What is finished stays finished: a run that was killed is
started again by the same command, and reuses every stage whose output exists; or goes on as it was
(resume.py). A stage whose evidence has yet to come ends it as `waiting`."""

import math
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

from filelock import FileLock, Timeout

from llmops.engines.contract import Progress
from llmops.environments.machine import size_text
from llmops.errors import (
    Failed,
    GateRefused,
    Interrupted,
    LlmopsError,
    OutOfMemory,
    Passing,
    Waiting,
)
from llmops.runner.devices import own_gpus
from llmops.runner.downloads import Download
from llmops.runner.fingerprint import fingerprint
from llmops.runner.gates import refuse_unheeded
from llmops.runner.patience import Patience, pauses
from llmops.runner.plan import Plan, PlannedStage, describe, plan_stage
from llmops.runner.progress import Reporter
from llmops.runner.record import RunRecord, StageRecord, State
from llmops.runner.resume import Resumed, declared_digest, take_over
from llmops.runner.run_log import Asked, RunLog
from llmops.runner.stage import Attempt, Context, Node, Stage
from llmops.runner.termination import heed
from llmops.spec.source import display
from llmops.store import logs
from llmops.store.atomic import refused, write_json

TELL_SECONDS = 30.0


def execute(
    plan: Plan,
    *,
    context: Context,
    kinds: dict[str, Stage],
    reporter: Reporter,
    overrides: Sequence[str] = (),
    patience: Patience | None = None,
    resumed: Resumed | None = None,
    asked: Asked | None = None,
) -> RunRecord:
    """Run all the stages of a plan. The record of the run: done, or waiting for evidence.

    patience: how long to wait for that (default: not at all). resumed: the run that this plan goes
    on with; asked: as what another one begins. Raises Failed (the run is recorded as failed),
    GateRefused (as refused) or Interrupted (as interrupted).
    """
    graph = plan.graph
    log = take_over(resumed, context) if resumed else _begin(plan, context, overrides, asked)
    made = dict(resumed.made) if resumed else {}
    if resumed is None:
        write_json(log.paths.plan, describe(plan, context))
    run = _Run(plan, context, kinds, reporter, log, patience or Patience(), made)
    reporter.begin(log.record.id, [node.name for node in graph.nodes])
    try:
        with log.living():
            for node in graph.nodes:
                run.stage(node)
            refuse_unheeded(graph.nodes, run.outputs)
    except (KeyboardInterrupt, Interrupted) as error:
        log.end("interrupted")
        raise Interrupted(
            "interrupted; the stages that were done are kept",
            fix=f"the same command goes on from there, `llmops run --resume {log.record.id}` "
            "with exactly what they made",
        ) from error
    except GateRefused:
        log.end("refused")
        raise
    except Waiting:
        log.end("waiting")
        return log.record
    except BaseException:
        log.end("failed")
        raise
    finally:
        reporter.end()
        context.remember()
    log.end("done")
    return log.record


def _begin(plan: Plan, context: Context, overrides: Sequence[str], asked: Asked | None) -> RunLog:
    graph = plan.graph
    return RunLog.begin(
        context.paths,
        graph.name,
        display(graph.target.path),
        list(overrides),
        [
            StageRecord(name=node.name, kind=node.kind, declared=declared_digest(node))
            for node in graph.nodes
        ],
        file=context.relative(graph.target.path.resolve()),
        scope=graph.scope,
        gpus=own_gpus(graph),
        asked=asked,
    )


@dataclass
class _Run:
    plan: Plan
    context: Context
    kinds: dict[str, Stage]
    reporter: Reporter
    log: RunLog
    patience: Patience
    outputs: dict[str, Any]
    """What the stages made; of a resumed run, from the beginning."""
    _made: bool = False
    """Whether a stage of this run was made, so that the others may be other than planned."""
    _told: float = -math.inf
    _looked: float = 0.0
    """When it last began to look at the stage in hand; what it waited for a lock is no looking."""

    def stage(self, node: Node) -> None:
        """Do one stage, waiting for its evidence as long as there is patience."""
        heed()
        if node.name in self.outputs:
            made = self.outputs[node.name]
            self.reporter.reused(node.name, made.id if made else "done before")
            return
        planned = self._as_planned[node.name]
        if planned.state == "reuse" and not self._made:
            self._reuse(node, planned)  # nothing has happened since the run was planned
            return
        number = self._next_attempt(node)
        with logs.bound(run=self.log.record.id, stage=node.name, attempt=number):
            self._until(node, number)

    def _until(self, node: Node, number: int) -> None:
        while True:
            try:
                self._once(node, number)
                return
            except Waiting as wait:
                self.patience.looked(time.monotonic() - self._looked)
                self._tell(node, wait)
                if not self.patience.pause():
                    raise

    def _tell(self, node: Node, wait: Waiting) -> None:
        """What it waits for, now and then."""
        now = time.monotonic()
        if now - self._told >= TELL_SECONDS:
            self.reporter.waiting(node.name, wait.what)
            self._told = now

    def _next_attempt(self, node: Node) -> int:
        number = 1
        while self.log.paths.attempt(node.name, number).root.exists():
            number += 1
        return number

    def _once(self, node: Node, number: int) -> None:
        """Plan the stage again, now that its inputs exist; reuse its output or make it."""
        forced = node.name in self.plan.graph.again
        with self._recorded(node, number):
            planned = self._planned(node, forced=forced)
            with self._lock(node, planned):
                self._looked = time.monotonic()
                # Another run may have made it while this one waited for the lock.
                planned = self._planned(node, forced=forced)
                if planned.state == "reuse":
                    self._reuse(node, planned)
                else:
                    self._make_or_retry(node, planned, number, forced=forced)

    def _planned(self, node: Node, *, forced: bool) -> PlannedStage:
        """As things are now, but for what its inputs were when the run was planned."""
        pinned = self._as_planned[node.name].inputs
        return plan_stage(
            node,
            self.outputs,
            self.context,
            self.kinds,
            forced=forced,
            pinned=pinned,
            bring=partial(self._download, node),
        )

    def _download(self, node: Node, wanted: Download) -> None:
        """What a stage reads from the Hub; nothing where it came since the run was planned."""

        def told(there: int, whole: int) -> None:
            heed()
            figures = Progress("downloading, MB:", there // 1_000_000, whole // 1_000_000)
            self.reporter.progress(node.name, figures)

        for pause in _pauses(node):
            try:
                return wanted.fetch(told)
            except Passing as error:
                self._pause(node, error, pause)
        return wanted.fetch(told)

    @cached_property
    def _as_planned(self) -> dict[str, PlannedStage]:
        """The stages of the plan by their names."""
        return {one.node.name: one for one in self.plan.stages}

    @contextmanager
    def _recorded(self, node: Node, number: int) -> Iterator[None]:
        """However a stage ends before its output is there, its record says so, and why."""
        try:
            yield
        except (KeyboardInterrupt, Interrupted):
            self._ended(node, "interrupted", "interrupted", error=None)
            raise
        except Waiting as wait:
            self.log.stage(node.name, "waiting", error=wait.what)
            raise
        except GateRefused as error:
            self._ended(node, "refused", error.what, error=error.what)
            raise
        except LlmopsError as error:
            why = error.what.removeprefix(f"stage {node.name} failed: ")
            less = error.less if isinstance(error, OutOfMemory) else ""
            self._ended(node, "failed", why, error=why, proposal=less)
            raise
        except OSError as error:
            place = self.log.paths.attempt(node.name, number).root
            place = place if place.exists() else self.log.paths.root
            told = refused(error, place) or Failed(str(error), where=display(place))
            self._ended(node, "failed", told.what, error=told.what)
            what = f"stage {node.name}: {told.what}"
            raise Failed(what, where=told.where, fix=told.fix) from error
        except Exception as error:
            why = f"a defect of llmops: {type(error).__name__}: {error}"
            self._ended(node, "failed", why, error=why)
            raise

    def _ended(
        self, node: Node, state: State, told: str, *, error: str | None, proposal: str = ""
    ) -> None:
        self.log.stage(node.name, state, error=error, proposal=proposal)
        self.reporter.failed(node.name, told)

    def _reuse(self, node: Node, planned: PlannedStage) -> None:
        found = planned.prepared.found
        self.outputs[node.name] = found
        name = found.id if found else None
        digest = found.digest if found else None
        self.log.stage(node.name, "reused", output=name, digest=digest, error=None)
        told = [name or planned.prepared.summary, planned.prepared.caution]
        self.reporter.reused(node.name, "; ".join(filter(None, told)))

    def _make_or_retry(
        self, node: Node, planned: PlannedStage, number: int, *, forced: bool
    ) -> None:
        """Again after a while, for a cause that may pass, as often as the recipe says."""
        for pause in _pauses(node):
            try:
                with logs.bound(attempt=number):
                    return self._make(node, planned, number, forced=forced)
            except Passing as error:
                self._pause(node, error, pause)
            number = self._next_attempt(node)
        with logs.bound(attempt=number):
            return self._make(node, planned, number, forced=forced)

    def _pause(self, node: Node, error: Passing, seconds: float) -> None:
        told = f"{error.what}; again in {seconds:.0f} s"
        self.reporter.progress(node.name, Progress("waiting", warning=told))
        time.sleep(seconds)

    def _make(self, node: Node, planned: PlannedStage, number: int, *, forced: bool) -> None:
        heed()
        self._made = True
        self._refuse_small_disk(planned)
        paths = self.log.paths.attempt(node.name, number)
        again = paths.root.exists()  # it has waited
        paths.root.mkdir(parents=True, exist_ok=True)
        write_json(paths.record, {"fingerprint": fingerprint(planned.prepared.parts)})
        self.log.stage(node.name, "running", attempt=number, alarms=[], proposal="")
        if not again:
            self.reporter.started(node.name, planned.prepared.summary, planned.reasons)
        attempt = Attempt(
            self.log.record.id,
            node,
            number,
            paths,
            lambda progress: self.reporter.progress(node.name, progress),
            forced,
            lambda alarm, reaction: self.log.alarm(node.name, alarm, reaction),
        )
        made = self.kinds[node.kind].execute(planned.prepared, attempt, self.context)
        self.outputs[node.name] = made
        output, digest = (made.id, made.digest) if made else (None, None)
        self.log.stage(node.name, "done", output=output, digest=digest, error=None)
        self.reporter.done(node.name, made.id if made else planned.prepared.summary)

    def _refuse_small_disk(self, planned: PlannedStage) -> None:
        need = planned.prepared.estimate.disk_bytes
        free = shutil.disk_usage(self.log.paths.root).free
        if need is not None and need > free:
            raise Failed(
                f"stage {planned.node.name} needs about {size_text(need)} of disk, "
                f"{size_text(free)} are free",
                where=display(self.context.paths.state),
                fix="free some space and run it again; the stages that are done are kept",
            )

    @contextmanager
    def _lock(self, node: Node, planned: PlannedStage) -> Iterator[None]:
        """Two runs never make the same thing at once: the second waits and reuses it."""
        name = fingerprint(planned.prepared.parts)[:24]
        path = self.context.paths.lock(f"stage-{name}")
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            self.reporter.waiting(node.name, "another run is making the same thing")
            lock.acquire()
        try:
            yield
        finally:
            lock.release()


def _pauses(node: Node) -> list[float]:
    """Before each of the retries that its recipe allows."""
    resources = getattr(node.spec, "resources", None)
    return pauses(resources.retries if resources else 0)
