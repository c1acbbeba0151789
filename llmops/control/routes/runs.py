"""Runs: what ran, runs and waits its turn, and how far each is."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import Field

from llmops.control import run_detail
from llmops.control.access import may
from llmops.control.pages import PlaceAsked
from llmops.control.project import ProjectHeld
from llmops.control.runs import RunBrief
from llmops.control.shape import Answer, Page

router = APIRouter(tags=["runs"], dependencies=[may("read")])

RunId = Annotated[
    str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=128, examples=["last"])
]
StageName = Annotated[
    str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=128, examples=["sft"])
]
_FAR = 2**40


class AlarmShown(Answer):
    """What was seen of a training by its figures. kind, reaction: as in a recipe's `watch:`."""

    kind: str
    step: int
    text: str
    reaction: str
    time: str


class StageShown(Answer):
    """output: what it made; attempt: None for one that was reused or has not begun; approval: it
    waits for a person; proposal: overrides with which one that ran out of memory needs less."""

    name: str
    kind: str
    state: str
    attempt: int | None = None
    output: str | None = None
    started: str | None = None
    seconds: float | None = None
    error: str | None = None
    alarms: list[AlarmShown] = Field(default_factory=list)
    proposal: str = ""
    approval: bool = False


class Graph(Answer):
    """edges: pairs of names, what comes first and what follows."""

    nodes: list[dict[str, Any]]
    edges: list[list[str]]


class RunShown(Answer):
    """job: how it stands in the queue, None for a run that was begun at a terminal; tensorboard:
    where a TensorBoard of the project runs; gpus: those that its process has, as
    CUDA_VISIBLE_DEVICES takes them."""

    id: str
    state: str
    target: str
    file: str
    overrides: list[str]
    force: bool
    begin: str | None
    until: str | None
    by: str
    correlation: str
    gpus: list[str]
    started: str | None
    ended: str | None
    seconds: float | None
    stages: list[StageShown]
    job: dict[str, Any] | None
    graph: Graph
    resumable: bool
    stoppable: bool
    tensorboard: str | None


class Figure(Answer):
    """One step's figures; None where the engine did not report it. elapsed_s: since it began;
    margin: between the rewards of chosen and rejected; chosen: log-probability of chosen answers;
    memory_bytes: the most so far."""

    step: int
    total: int
    loss: float | None
    learning_rate: float | None
    tokens_per_s: float | None
    accuracy: float | None
    eval_loss: float | None
    elapsed_s: float | None
    epoch: float | None
    grad_norm: float | None
    margin: float | None
    chosen: float | None
    memory_bytes: float | None
    device_memory_bytes: float | None


class Figures(Answer):
    """total: steps in all, 0 while it is not known; finished: no more will come."""

    items: list[Figure]
    total: int
    finished: bool


class LogPart(Answer):
    """offset: where the part that follows begins; size: of the log so far. In bytes."""

    text: str
    offset: int
    size: int


@router.get("/runs", response_model=Page[RunBrief], summary="Runs and jobs, the newest first")
def listed(
    project: ProjectHeld,
    place: PlaceAsked,
    state: Annotated[str | None, Query(max_length=16, examples=["running"])] = None,
    target: Annotated[str | None, Query(max_length=400)] = None,
) -> dict[str, Any]:
    return project.run_list.page(place, state=state, target=target)


@router.get("/runs/{run}", response_model=RunShown, summary="One run; `last` is the newest")
def shown(run: RunId, project: ProjectHeld) -> dict[str, Any]:
    return run_detail.detail(run, project)


@router.get(
    "/runs/{run}/log", response_model=LogPart, summary="What a run said to nobody's terminal"
)
def run_log(
    run: RunId,
    project: ProjectHeld,
    offset: Annotated[int, Query(ge=-_FAR, le=_FAR, description="<0: from the end")] = 0,
) -> dict[str, Any]:
    """Planning, and why it ended; what engines say is in the stages' logs."""
    from llmops.runner.observe import log

    return log(project.paths, run_detail.detail(run, project)["id"], None, offset)


@router.get(
    "/runs/{run}/stages/{stage}/metrics", response_model=Figures, summary="A stage's curves"
)
def metrics(
    run: RunId,
    stage: StageName,
    project: ProjectHeld,
    after: Annotated[int | None, Query(ge=0, le=_FAR, description="only later steps")] = None,
) -> dict[str, Any]:
    from llmops.runner.observe import metrics

    return metrics(project.paths, run, stage, after)


@router.get("/runs/{run}/stages/{stage}/log", response_model=LogPart, summary="A stage's log")
def log(
    run: RunId,
    stage: StageName,
    project: ProjectHeld,
    offset: Annotated[int, Query(ge=-_FAR, le=_FAR, description="<0: from the end")] = 0,
) -> dict[str, Any]:
    """As the engine wrote it; at most 64 KiB at once."""
    from llmops.runner.observe import log

    return log(project.paths, run, stage, offset)
