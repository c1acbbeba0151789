"""Starting a run: plan, refuse what cannot work, execute. What the CLI and others call."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from llmops.errors import BadInput
from llmops.runner.devices import needs_device, own_gpus
from llmops.runner.execute import execute
from llmops.runner.patience import Patience
from llmops.runner.plan import Plan, make_plan, plan_graph
from llmops.runner.progress import Reporter
from llmops.runner.record import RunRecord
from llmops.runner.resume import resume
from llmops.runner.run_log import Asked
from llmops.runner.running import Running
from llmops.runner.scope import EVERYTHING, Scope
from llmops.runner.stage import Context, Stage
from llmops.runner.termination import heed, termination_as_interrupt
from llmops.store import logs


def start_run(
    target: Path,
    overrides: Sequence[str],
    *,
    context: Context,
    kinds: dict[str, Stage],
    reporter: Reporter,
    scope: Scope = EVERYTHING,
    patience: Patience | None = None,
    asked: Asked | None = None,
) -> RunRecord:
    """Plan and run a recipe or a pipeline; the record of the run, done or waiting.

    patience: how long it waits for evidence that has yet to come (default: it ends as `waiting`);
    asked: by whom, and as which run.
    Raises BadInput before anything is started, Failed, GateRefused, or Interrupted.
    """
    with termination_as_interrupt():
        plan = make_plan(target, overrides, context=context, kinds=kinds, scope=scope)
        heed()
        with _admitted(plan, context):
            return execute(
                plan,
                context=context,
                kinds=kinds,
                reporter=reporter,
                overrides=overrides,
                patience=patience,
                asked=asked,
            )


def resume_run(
    run: str,
    *,
    context: Context,
    kinds: dict[str, Stage],
    reporter: Reporter,
    patience: Patience | None = None,
) -> RunRecord:
    """Go on with a run, by its id or `last`; otherwise as `start_run`."""
    with termination_as_interrupt():
        resumed = resume(run, context=context, kinds=kinds)
        plan = plan_graph(resumed.graph, context=context, kinds=kinds, made=resumed.made)
        heed()
        with _admitted(plan, context):
            return execute(
                plan,
                context=context,
                kinds=kinds,
                reporter=reporter,
                patience=patience,
                resumed=resumed,
            )


@contextmanager
def _admitted(plan: Plan, context: Context) -> Iterator[None]:
    """Refuse what cannot work before anything is started; what is started ends with the run."""
    _require_engines(plan, context)
    refuse_too_large(plan)
    refuse_beside_servers(plan, context)
    _tell_beside_runs(plan, context)
    try:
        yield
    finally:
        context.close()


def _tell_beside_runs(plan: Plan, context: Context) -> None:
    """Who runs at a terminal waits for nobody, and should know."""
    if not any(one.state != "reuse" and needs_device(one.node) for one in plan.stages):
        return
    others = Running(context.paths).beside(own_gpus(plan.graph))
    if others:
        told = f"{', '.join(others)} {'have' if len(others) > 1 else 'has'} the device too"
        logs.say(f"warning: {told}: both run at once; `llmops run -d` waits for its turn")


def _require_engines(plan: Plan, context: Context) -> None:
    """Every engine that the plan needs is there before the first stage starts."""
    for stage in plan.stages:
        engine = getattr(stage.node.spec, "engine", None)
        if engine is None or stage.state == "reuse":
            continue
        try:
            context.environment(engine)
        except BadInput as error:
            raise BadInput(
                f"stage {stage.node.name}: {error.what}", where=error.where, fix=error.fix
            ) from error


def refuse_too_large(plan: Plan) -> None:
    """What certainly does not fit, before the stages in front of it have cost hours."""
    for stage in plan.stages:
        if stage.prepared.refusal is not None and stage.state != "reuse":
            raise stage.prepared.refusal


def refuse_beside_servers(plan: Plan, context: Context) -> None:
    """`while_serving: refuse`, and `sleep` where the server cannot: told before anything runs."""
    from llmops.serving.hold import refuse

    for stage in plan.stages:
        resources = getattr(stage.node.spec, "resources", None)
        if resources is not None and stage.state != "reuse":
            where = stage.node.declared.source.where(("resources", "while_serving"))
            refuse(resources.while_serving, context.paths, stage=stage.node.name, where=where)
