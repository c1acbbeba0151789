"""Executing a plan, stage by stage. What is finished stays finished: a run that was killed is
started again by the same command, and reuses every stage whose output exists."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from filelock import FileLock, Timeout

from llmops.environments.machine import size_text
from llmops.errors import Failed, GateRefused, Interrupted, LlmopsError, Waiting
from llmops.runner.fingerprint import fingerprint
from llmops.runner.plan import Plan, PlannedStage, describe, is_forced, plan_stage
from llmops.runner.progress import Reporter
from llmops.runner.record import RunLog, RunRecord
from llmops.runner.stage import Attempt, Context, Node, Stage
from llmops.spec.source import display
from llmops.store.atomic import write_json


def execute(
    plan: Plan,
    *,
    context: Context,
    kinds: dict[str, Stage],
    reporter: Reporter,
    overrides: Sequence[str] = (),
    force: bool = False,
) -> RunRecord:
    """Run all the stages of a plan. The record of the run, done.

    Raises Failed (the run is recorded as failed) or Interrupted (as interrupted).
    """
    graph = plan.graph
    log = RunLog.begin(
        context.paths,
        graph.name,
        display(graph.target.path),
        list(overrides),
        [(node.name, node.kind) for node in graph.nodes],
    )
    write_json(log.paths.plan, describe(plan, context))
    run = _Run(plan, context, kinds, reporter, log, force)
    reporter.begin(log.record.id, [node.name for node in graph.nodes])
    try:
        for node in graph.nodes:
            run.stage(node)
    except (KeyboardInterrupt, Interrupted) as error:
        log.end("interrupted")
        raise Interrupted(
            "interrupted; the stages that were done are kept",
            fix="the same command goes on from there",
        ) from error
    except GateRefused:
        log.end("refused")
        raise
    except Waiting as wait:
        log.end("waiting")
        reporter.waiting(wait.where, wait.what)
        return log.record
    except BaseException:
        log.end("failed")
        raise
    finally:
        reporter.end()
        context.remember()
    log.end("done")
    return log.record


@dataclass
class _Run:
    plan: Plan
    context: Context
    kinds: dict[str, Stage]
    reporter: Reporter
    log: RunLog
    force: bool
    outputs: dict[str, Any] = field(default_factory=dict)

    def stage(self, node: Node) -> None:
        """Plan the stage again, now that its inputs exist; reuse its output or make it."""
        forced = is_forced(node, self.plan.graph, self.force)
        planned = plan_stage(node, self.outputs, self.context, self.kinds, forced=forced)
        with self._lock(node, planned):
            # Another run may have made it while this one waited for the lock.
            planned = plan_stage(node, self.outputs, self.context, self.kinds, forced=forced)
            if planned.state == "reuse":
                self._reuse(node, planned)
            else:
                self._make(node, planned, forced=forced)

    def _reuse(self, node: Node, planned: PlannedStage) -> None:
        found = planned.prepared.found
        self.outputs[node.name] = found
        name = found.id if found else None
        self.log.stage(node.name, "reused", output=name)
        self.reporter.reused(node.name, name or planned.prepared.summary)

    def _make(self, node: Node, planned: PlannedStage, *, forced: bool) -> None:
        self._refuse_small_disk(planned)
        number = 1
        paths = self.log.paths.attempt(node.name, number)
        paths.root.mkdir(parents=True)
        write_json(paths.record, {"fingerprint": fingerprint(planned.prepared.parts)})
        self.log.stage(node.name, "running", attempt=number)
        self.reporter.started(node.name, planned.prepared.summary, planned.reasons)
        attempt = Attempt(
            self.log.record.id,
            node,
            number,
            paths,
            lambda progress: self.reporter.progress(node.name, progress),
            forced,
        )
        try:
            made = self.kinds[node.kind].execute(planned.prepared, attempt, self.context)
        except (KeyboardInterrupt, Interrupted):
            self.log.stage(node.name, "interrupted")
            self.reporter.failed(node.name, "interrupted")
            raise
        except Waiting as wait:
            self.log.stage(node.name, "waiting", error=wait.what)
            raise Waiting(wait.what, where=node.name, fix=wait.fix) from wait
        except GateRefused as error:
            self.log.stage(node.name, "refused", error=error.what)
            self.reporter.failed(node.name, error.what)
            raise
        except LlmopsError as error:
            why = error.what.removeprefix(f"stage {node.name} failed: ")
            self.log.stage(node.name, "failed", error=why)
            self.reporter.failed(node.name, why)
            raise
        except OSError as error:
            self.log.stage(node.name, "failed", error=str(error))
            self.reporter.failed(node.name, str(error))
            raise Failed(f"stage {node.name}: {error}", where=display(paths.root)) from error
        self.outputs[node.name] = made
        self.log.stage(node.name, "done", output=made.id if made else None)
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
