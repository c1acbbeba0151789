"""The project at a glance."""

from typing import Any, Literal

from fastapi import APIRouter

from llmops.control.access import may
from llmops.control.project import ProjectHeld
from llmops.control.runs import RunBrief
from llmops.control.shape import Answer

router = APIRouter(tags=["dashboard"], dependencies=[may("read")])


class RunsNow(Answer):
    counts: dict[str, int]
    active: list[RunBrief]
    recent: list[RunBrief]


class Waiting(Answer):
    """since: ISO 8601, UTC; stage: None for a run that has not begun."""

    kind: Literal["approval", "evidence"]
    run: str
    stage: str | None
    what: str
    since: str | None


class Figures(Answer):
    answers: int
    ratings: int
    answers_24h: int
    ratings_24h: int


class ExperimentBrief(Answer):
    name: str
    decision: str
    summary: str


class Part(Answer):
    """link: a place in the UI."""

    state: Literal["idle", "ready", "running", "waiting", "failed"]
    text: str
    link: str


class Loop(Answer):
    """The loop of one model: the one whose alias moved last."""

    model: str | None
    feedback: Part
    pairs: Part
    train: Part
    gate: Part
    candidate: Part
    production: Part


class DashboardShown(Answer):
    """problems: of what could not be asked, and is empty or null here."""

    project: str
    time: str
    models: list[dict[str, Any]]
    runs: RunsNow
    deployments: list[dict[str, Any]]
    schedules: list[dict[str, Any]]
    waiting: list[Waiting]
    feedback: Figures | None
    experiments: list[ExperimentBrief]
    loop: Loop
    problems: list[str]


@router.get("/dashboard/data", response_model=DashboardShown, summary="The project at a glance")
def dashboard(project: ProjectHeld) -> dict[str, Any]:
    """At most a second old; figures of the log somewhat older, the longer they take to count."""
    return project.dashboard.get()
