"""Runs: what ran, runs and waits its turn, and how far each is."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import Field

from llmops.control import runs
from llmops.control.access import may
from llmops.control.pages import PlaceAsked
from llmops.control.project import ProjectHeld
from llmops.control.runs import RunBrief
from llmops.control.shape import Answer, Page

router = APIRouter(tags=["runs"], dependencies=[may("read")])

RunId = Annotated[
    str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=128, examples=["last"])
]
StageName = Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=128)]


class StageShown(Answer):
    """output: what it made; attempt: None for one that was reused or has not begun."""

    name: str
    kind: str
    state: str
    attempt: int | None = None
    output: str | None = None
    started: str | None = None
    seconds: float | None = None
    error: str | None = None


class Graph(Answer):
    """edges: pairs of names, what comes first and what follows."""

    nodes: list[dict[str, Any]]
    edges: list[list[str]]


class RunShown(Answer):
    """job: how it stands in the queue, None for a run that was begun at a terminal; tensorboard:
    its curves, where a TensorBoard of the project runs."""

    id: str
    state: str
    target: str
    overrides: list[str]
    force: bool
    by: str
    correlation: str
    started: str | None
    ended: str | None
    seconds: float | None
    stages: list[StageShown]
    job: dict[str, Any] | None
    graph: Graph
    resumable: bool
    stoppable: bool
    tensorboard: str | None = Field(None, examples=["http://127.0.0.1:6006"])


@router.get("/runs", response_model=Page[RunBrief], summary="Runs and jobs, the newest first")
def listed(
    project: ProjectHeld,
    place: PlaceAsked,
    state: Annotated[str | None, Query(max_length=16, examples=["running"])] = None,
    target: Annotated[str | None, Query(max_length=400)] = None,
) -> dict[str, Any]:
    return runs.page(project, place, state=state, target=target)


@router.get("/runs/{run}", response_model=RunShown, summary="One run; `last` is the newest")
def shown(run: RunId, project: ProjectHeld) -> dict[str, Any]:
    return runs.detail(run, project)
