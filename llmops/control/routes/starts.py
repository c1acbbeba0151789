"""Starting runs, stopping them, going on with them.

A run is a process of its own: it belongs to no request, and goes on when this process ends.
"""

from typing import Any, Literal

from fastapi import APIRouter, Response
from pydantic import Field

from llmops.control.access import Approver, Runner, may
from llmops.control.idempotency import Keep, Once
from llmops.control.problems import Refused, of_its_state
from llmops.control.project import ProjectHeld
from llmops.control.routes.runs import RunId
from llmops.control.shape import Answer, Ask
from llmops.control.targets import Overrides, Stage, Target, find, typed

router = APIRouter(tags=["runs"], dependencies=[may("read")])


class _Changes(Ask):
    overrides: Overrides = Field(default_factory=list)
    force: bool = Field(False, description="run again what is up to date")
    begin: Stage = Field(None, description="make this stage again, and what comes of it")
    until: Stage = Field(None, description="leave out what this stage does not need")
    approval: bool = Field(False, description="a person must agree first")


class TargetAsked(_Changes):
    """target: a recipe or a pipeline."""

    target: Target


class RecipeAsked(_Changes):
    recipe: Target


class PipelineAsked(_Changes):
    pipeline: Target = Field(examples=["pipelines/town.yaml"])


class Queued(Answer):
    """state: queued, or approval; url: of the run, below this API."""

    id: str
    state: str
    url: str


class Done(Answer):
    """state: cancelled, interrupted, or stopping: it ends in order, in its own time."""

    id: str
    state: str


class Said(Ask):
    """stage: of a run that waits there; null: the run itself, before it begins."""

    stage: str | None = Field(None, max_length=128)
    decision: Literal["approve", "reject"] = "approve"
    note: str = Field("", max_length=2000)


class Decided(Answer):
    """what: was decided about, in words."""

    id: str
    stage: str | None
    decision: str
    what: str


_STARTS: dict[str, Any] = {"status_code": 202, "response_model": Queued}


def _submit(
    target: str, asked: _Changes, project: ProjectHeld, caller: Runner, once: Once
) -> Response:
    from llmops.runner.scope import Scope
    from llmops.scheduling.runs import Request

    request = Request(
        target=target,
        overrides=typed(asked.overrides),
        scope=Scope(asked.force, asked.begin, asked.until),
        by=caller.by,
        correlation=once.correlation,
        approval=asked.approval,
    )

    def start(keep: Keep) -> dict[str, Any]:
        def told(job: str) -> dict[str, Any]:
            return _queued(job, "approval" if asked.approval else "queued")

        job = project.queue.submit(request, then=lambda conn, job: keep(conn, told(job)))
        return told(job.id)

    return once.answer(202, start)


def _queued(job: str, state: str = "queued") -> dict[str, Any]:
    return {"id": job, "state": state, "url": f"/runs/{job}"}


@router.post("/runs", summary="Run a recipe or a pipeline", **_STARTS)
def run(asked: TargetAsked, project: ProjectHeld, caller: Runner, once: Once) -> Any:
    find(asked.target, project.declarations, "recipe", "pipeline")
    return _submit(asked.target, asked, project, caller, once)


@router.post("/pipelines/run", summary="Run a pipeline", **_STARTS)
def run_pipeline(asked: PipelineAsked, project: ProjectHeld, caller: Runner, once: Once) -> Any:
    find(asked.pipeline, project.declarations, "pipeline")
    return _submit(asked.pipeline, asked, project, caller, once)


@router.post("/train/{stage}", summary="Run a training recipe", **_STARTS)
def train(
    stage: Literal["cpt", "sft", "dpo"],
    asked: RecipeAsked,
    project: ProjectHeld,
    caller: Runner,
    once: Once,
) -> Any:
    """With what it stands on: stages that are up to date are reused."""
    find(asked.recipe, project.declarations, "recipe")
    listed = project.declarations.listed("recipe")
    found = next((one["stage"] for one in listed if one["path"] == asked.recipe), None)
    if found is not None and found != stage:
        what = f"`{asked.recipe}` is a recipe of stage {found}, not {stage}"
        raise Refused(422, "invalid", what, fix=f"POST /train/{stage} takes such recipes only")
    return _submit(asked.recipe, asked, project, caller, once)


@router.post("/runs/{run}/stop", status_code=202, response_model=Done, summary="End a run")
def stop(run: RunId, project: ProjectHeld, caller: Runner) -> dict[str, Any]:
    """What has not begun is cancelled; what runs ends in order and can be gone on with."""
    with of_its_state():
        return {"id": run, "state": project.queue.stop(run, caller.by)}


@router.post("/runs/{run}/approve", response_model=Decided, summary="Say yes or no")
def approve(run: RunId, said: Said, project: ProjectHeld, caller: Approver) -> dict[str, Any]:
    """To a run that waits for a person before it begins, or to a stage of it; what waits goes on at
    the next turn of a scheduler."""
    from llmops.scheduling.approvals import approve

    with of_its_state():
        what = approve(
            project.queue, run, said.stage, by=caller.by, decision=said.decision, note=said.note
        )
    return {"id": run, "stage": said.stage, "decision": said.decision, "what": what}


@router.post("/runs/{run}/resume", summary="Go on with a run", **_STARTS)
def resume(run: RunId, project: ProjectHeld, caller: Runner, once: Once) -> Any:
    """With what it made so far, as its declaration says now."""

    def start(keep: Keep) -> dict[str, Any]:
        told = _queued(run)
        with of_its_state():
            project.queue.resume(run, caller.by, then=lambda conn, _: keep(conn, told))
        return told

    return once.answer(202, start)
