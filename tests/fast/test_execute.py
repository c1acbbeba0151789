"""Executing plans with kinds of stage that need no engine: `promote`, and one of the tests' own."""

import errno
import io
import subprocess
import sys
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from llmops.errors import BadInput, Failed, Interrupted, OutOfMemory, Passing
from llmops.registry.locate import Located
from llmops.registry.manifest import Draft
from llmops.runner.execute import execute
from llmops.runner.fingerprint import fingerprint
from llmops.runner.plan import Plan, make_plan
from llmops.runner.progress import PlainReporter
from llmops.runner.record import RunRecord, list_runs
from llmops.runner.scope import EVERYTHING, Scope
from llmops.runner.stage import Attempt, Context, Node, Prepared, Stage
from llmops.runner.start import refuse_beside_servers, resume_run, start_run
from llmops.spec.settings import load_settings
from llmops.stages.catalog import KINDS
from tests.fast.copying_stage import PIPELINE, RECIPE, Copying, tiny_model, write_project
from tests.fast.served_state import serve
from tests.waiting import until


@pytest.fixture
def stage(project: Path) -> Copying:
    write_project(project)
    return Copying()


def plan(project: Path, stage: Copying, target: str = "p.yaml", scope: Scope = EVERYTHING) -> Plan:
    kinds: dict[str, Stage] = {**KINDS, "train": stage}
    context = Context(load_settings())
    return make_plan(project / target, [], context=context, kinds=kinds, scope=scope)


def run(
    project: Path,
    stage: Copying,
    target: str = "p.yaml",
    scope: Scope = EVERYTHING,
    told: io.StringIO | None = None,
) -> tuple[RunRecord, str]:
    told = told or io.StringIO()
    context = Context(load_settings())
    kinds: dict[str, Stage] = {**KINDS, "train": stage}
    planned = make_plan(project / target, [], context=context, kinds=kinds, scope=scope)
    record = execute(planned, context=context, kinds=kinds, reporter=PlainReporter(told))
    return record, told.getvalue()


def states(planned: Plan) -> list[str]:
    return [stage.state for stage in planned.stages]


def test_a_plan_of_a_fresh_project_says_what_waits_for_what(project: Path, stage: Copying) -> None:
    planned = plan(project, stage)
    assert states(planned) == ["run", "pending", "pending"]
    assert planned.stages[0].reasons == ("never run",)
    assert planned.stages[1].prepared.pending_on == ("first",)


def test_planning_leaves_no_trace(project: Path, stage: Copying) -> None:
    before = sorted(project.rglob("*"))
    plan(project, stage)
    assert sorted(project.rglob("*")) == before


def test_a_run_makes_every_stage_once(project: Path, stage: Copying) -> None:
    record, told = run(project, stage)
    assert [s.state for s in record.stages] == ["done", "done", "done"]
    assert [s.output for s in record.stages] == ["town:v1", "town:v2", "town:v2"]
    assert "[3/3] offer: done: town:v2" in told


def test_what_an_alias_named_when_a_run_was_planned_holds_for_all_of_it(
    project: Path, stage: Copying
) -> None:
    registry = Context(load_settings()).registry
    for text in "ab":
        registry.add(Draft(name="base", kind="full", stage="sft"), tiny_model(project / text, text))
    registry.move("base", "anchor", 1, why="")
    (project / "p.yaml").write_text(PIPELINE.replace("path:seed", "base@anchor"))
    planned = plan(project, stage)
    registry.move("base", "anchor", 2, why="")
    execute(
        planned,
        context=Context(load_settings()),
        kinds={**KINDS, "train": stage},
        reporter=PlainReporter(io.StringIO()),
    )
    assert registry.resolve("town:v1").parts["base"] == registry.resolve("base:v1").digest


def test_a_second_run_reuses_everything(project: Path, stage: Copying) -> None:
    run(project, stage)
    assert states(plan(project, stage)) == ["reuse", "reuse", "reuse"]
    record, _ = run(project, stage)
    assert [s.state for s in record.stages] == ["reused", "reused", "reused"]
    assert stage.ran == ["first", "second"]


def test_force_runs_a_pipeline_again(project: Path, stage: Copying) -> None:
    run(project, stage)
    record, _ = run(project, stage, scope=Scope(force=True))
    assert [s.output for s in record.stages] == ["town:v3", "town:v4", "town:v4"]


def test_what_changed_is_the_reason(project: Path, stage: Copying) -> None:
    run(project, stage)
    text = PIPELINE.replace("max_steps: 2", "max_steps: 5")
    (project / "p.yaml").write_text(text, encoding="utf-8")
    planned = plan(project, stage)
    assert states(planned) == ["reuse", "run", "pending"]
    assert planned.stages[1].reasons == ("args.max_steps: 2 -> 5",)


def test_a_rerun_that_makes_the_same_bytes_spares_what_follows(
    project: Path, stage: Copying
) -> None:
    run(project, stage)
    run(project, stage, "r.yaml", Scope(force=True))
    assert stage.ran == ["first", "second", "r"]
    run(project, stage)
    assert stage.ran == ["first", "second", "r"]


def test_what_would_need_less_memory_is_on_record(project: Path, stage: Copying) -> None:
    stage.error = error = OutOfMemory("out of GPU memory; this needs less: args.cutoff_len=512")
    error.less = "args.cutoff_len=512"
    with pytest.raises(OutOfMemory):
        run(project, stage)
    record = list_runs(Context(load_settings()).paths)[-1]
    assert [one.proposal for one in record.stages] == ["", "args.cutoff_len=512", ""]


def test_a_failure_ends_the_run_and_keeps_what_was_done(project: Path, stage: Copying) -> None:
    stage.error = Failed("it broke")
    with pytest.raises(Failed, match="it broke"):
        run(project, stage)
    record = list_runs(Context(load_settings()).paths)[-1]
    assert record.state == "failed"
    assert [s.state for s in record.stages] == ["done", "failed", "waiting"]
    stage.error = None
    record, _ = run(project, stage)
    assert [s.state for s in record.stages] == ["reused", "done", "done"]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), Interrupted("stop")])
def test_an_interrupt_is_recorded(project: Path, stage: Copying, error: BaseException) -> None:
    stage.error = error
    with pytest.raises(Interrupted):
        run(project, stage)
    record = list_runs(Context(load_settings()).paths)[-1]
    assert record.state == "interrupted"
    assert record.stages[1].state == "interrupted"


class Unlucky(Copying):
    """Fails so often, for a cause that may pass."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    def execute(self, prepared: Prepared, attempt: Attempt, context: Context) -> Located:
        if attempt.number <= self.times and attempt.node.name == "second":
            raise Passing("the port is in use")
        return super().execute(prepared, attempt, context)


def test_what_may_pass_is_tried_again(
    project: Path, stage: Copying, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llmops.runner.patience.BACK_OFF", 0.0)
    record, told = run(project, Unlucky(2))
    assert (record.state, record.stages[1].attempt, record.stages[1].error) == ("done", 3, None)
    assert told.count("the port is in use; again in 0 s") == 2


def test_a_recipe_says_how_often(
    project: Path, stage: Copying, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llmops.runner.patience.BACK_OFF", 0.0)
    with (project / "r.yaml").open("a", encoding="utf-8") as recipe:
        recipe.write("resources: {retries: 1}\n")
    with pytest.raises(Passing):
        run(project, Unlucky(2))
    record = list_runs(Context(load_settings()).paths)[-1]
    assert (record.stages[1].state, record.stages[1].attempt) == ("failed", 2)


HOLD = """
import sys
from filelock import FileLock
lock = FileLock(sys.argv[1])
lock.acquire()
print("held", flush=True)
sys.stdin.read()
"""


def test_a_dead_process_holds_no_stage(project: Path, stage: Copying) -> None:
    parts = plan(project, stage).stages[0].prepared.parts
    lock = Context(load_settings()).paths.lock(f"stage-{fingerprint(parts)[:24]}")
    lock.parent.mkdir(parents=True, exist_ok=True)
    told, done = io.StringIO(), Future[RunRecord]()
    argv = [sys.executable, "-c", HOLD, str(lock)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        thread = Thread(target=lambda: done.set_result(run(project, stage, told=told)[0]))
        thread.start()
        until(lambda: "another run is making the same thing" in told.getvalue())
        holder.kill()
        assert done.result(15).state == "done"
    thread.join()


def test_a_full_disk_is_refused_before_a_stage_starts(project: Path, stage: Copying) -> None:
    prepare = stage.prepare

    def greedy(*args: Any) -> Prepared:
        prepared = prepare(*args)
        return replace(prepared, estimate=replace(prepared.estimate, disk_bytes=10**18))

    stage.prepare = greedy  # type: ignore[method-assign, assignment]
    with pytest.raises(Failed, match=r"needs about 1000000.0 TB of disk"):
        run(project, stage)
    assert stage.ran == []


def test_a_full_disk_is_on_the_record_of_the_stage(project: Path, stage: Copying) -> None:
    prepare = stage.prepare

    def greedy(*args: Any) -> Prepared:
        prepared = prepare(*args)
        return replace(prepared, estimate=replace(prepared.estimate, disk_bytes=10**18))

    stage.prepare = greedy  # type: ignore[method-assign, assignment]
    with pytest.raises(Failed):
        run(project, stage)
    first = list_runs(Context(load_settings()).paths)[-1].stages[0]
    assert first.state == "failed"
    assert "first needs about" in str(first.error)


@pytest.mark.parametrize(
    ("error", "state", "why"),
    [
        (BadInput("no data"), "failed", "no data"),
        (KeyboardInterrupt(), "interrupted", ""),
        (
            OSError(errno.ENOSPC, "x"),
            "failed",
            "no space left on the disk; what was there is as it was",
        ),
        (OSError(errno.EMFILE, "too many"), "failed", f"[Errno {errno.EMFILE}] too many"),
        (TypeError("no defect"), "failed", "a defect of llmops: TypeError: no defect"),
    ],
)
def test_a_stage_that_cannot_be_planned_any_more_is_on_record(
    project: Path, stage: Copying, error: BaseException, state: str, why: str
) -> None:
    prepare = stage.prepare

    def spoilt(node: Node, *args: Any) -> Prepared:
        if stage.ran and node.name == "second":
            raise error
        return prepare(node, *args)

    stage.prepare = spoilt  # type: ignore[method-assign, assignment]
    with pytest.raises((BadInput, Failed, Interrupted, TypeError)):
        run(project, stage)
    second = list_runs(Context(load_settings()).paths)[-1].stages[1]
    assert (second.state, second.error or "") == (state, why)


def test_a_missing_engine_is_refused_before_anything_starts(
    project: Path, stage: Copying, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLMOPS_CACHE", str(project / "empty"))
    with pytest.raises(BadInput) as caught:
        start_run(
            project / "p.yaml",
            [],
            context=Context(load_settings()),
            kinds={**KINDS, "train": stage},
            reporter=PlainReporter(io.StringIO()),
        )
    assert "llmops engines install llamafactory" in str(caught.value)
    assert stage.ran == []


def test_a_stage_may_refuse_to_run_beside_a_server(project: Path, stage: Copying) -> None:
    recipe = RECIPE + "resources: {while_serving: refuse}\n"
    (project / "r.yaml").write_text(recipe, encoding="utf-8")
    context = Context(load_settings())
    kinds: dict[str, Stage] = {**KINDS, "train": stage}
    planned = make_plan(project / "r.yaml", [], context=context, kinds=kinds)
    refuse_beside_servers(planned, context)
    serve(project)
    with pytest.raises(BadInput, match=r"r.yaml:7: .*deployment `town` is served"):
        refuse_beside_servers(planned, context)


def test_a_base_that_does_not_exist_is_told_at_its_key(project: Path, stage: Copying) -> None:
    (project / "r.yaml").write_text(RECIPE.replace("path:seed", "town@best"), encoding="utf-8")
    with pytest.raises(BadInput, match=r"r.yaml:3: base: .*no model `town`"):
        plan(project, stage, "r.yaml")


def test_a_run_of_a_part_goes_on_as_that_part(project: Path, stage: Copying) -> None:
    stage.error = Failed("no")
    with pytest.raises(Failed):
        run(project, stage, scope=Scope(until="second", begin="first"))
    stage.error = None
    kinds: dict[str, Stage] = {**KINDS, "train": stage}
    context, told = Context(load_settings()), PlainReporter(io.StringIO())
    record = resume_run("last", context=context, kinds=kinds, reporter=told)
    assert [one.name for one in record.stages] == ["first", "second"]
    assert record.scope == Scope(until="second", begin="first")


def test_from_a_stage_on_all_is_made_again(project: Path, stage: Copying) -> None:
    run(project, stage)
    stage.ran.clear()
    run(project, stage, scope=Scope(begin="second"))
    assert stage.ran == ["second"]


def test_what_is_up_to_date_is_planned_once(
    project: Path, stage: Copying, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(project, stage)
    planned: list[str] = []
    prepare = stage.prepare

    def counted(node: Node, *given: Any) -> Prepared:
        planned.append(node.name)
        return prepare(node, *given)

    monkeypatch.setattr(stage, "prepare", counted)
    record, _ = run(project, stage)
    assert planned == ["first", "second"]
    assert {one.state for one in record.stages} == {"reused"}


def test_what_is_appended_or_edited_last_reuses_all_before_it(
    project: Path, stage: Copying
) -> None:
    run(project, stage)
    lines = (project / "p.yaml").read_text(encoding="utf-8")
    more = 'third: {recipe: r.yaml, base: "stage:second", set: {args.max_steps: %s}}\n'
    for steps in (3, 4):
        (project / "p.yaml").write_text(f"{lines.rstrip()}\n  {more % steps}", encoding="utf-8")
        stage.ran.clear()
        run(project, stage)
        assert stage.ran == ["third"]
