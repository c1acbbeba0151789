"""Schedules: what starts by itself, when, what it did, and the switch that stops it all."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import Field

from llmops.control.access import Runner, may
from llmops.control.idempotency import Keep, Once
from llmops.control.pages import PlaceAsked
from llmops.control.problems import of_its_state
from llmops.control.project import ProjectHeld
from llmops.control.shape import Answer, Ask, Page
from llmops.spec.reference import NAME

router = APIRouter(tags=["schedules"], dependencies=[may("read")])

Pipeline = Annotated[str, Path(pattern=f"^{NAME}$", examples=["town"])]
Trigger = Annotated[str, Path(pattern=f"^{NAME}$", examples=["feedback"])]


class Firing(Answer):
    """due: when it should have fired; time: when that was dealt with; job: the run, when it was
    started."""

    id: str
    trigger: str
    due: str
    time: str
    outcome: str
    reason: str
    job: str | None


class Schedule(Answer):
    """declared: the trigger as the pipeline declares it; gone: since when its declaration is not
    there, and why; pairs: of a feedback trigger."""

    id: str
    pipeline: str
    name: str
    file: str
    kind: str
    declared: dict[str, Any]
    next_at: str | None
    paused: dict[str, Any] | None
    gone: dict[str, Any] | None
    pairs: dict[str, int | None] | None
    last: Firing | None


class Schedules(Answer):
    """halted: who set the switch, why and since when; problems: of pipelines' files."""

    items: list[Schedule]
    halted: dict[str, Any] | None


class Times(Answer):
    """times: ISO 8601, UTC; reason: why there are none."""

    id: str
    times: list[str]
    reason: str | None


class Why(Ask):
    why: str = Field("", max_length=2000)


class HaltAsked(Why):
    stop_runs: bool = Field(False, description="end what runs, too")


class Halted(Answer):
    halted: dict[str, Any] | None


class Started(Answer):
    id: str
    job: str
    url: str


@router.get("/schedules", response_model=Schedules, summary="All schedules")
def listed(project: ProjectHeld) -> dict[str, Any]:
    return project.schedules.list()


@router.get("/schedules/history", response_model=Page[Firing], summary="What all of them did")
def all_history(project: ProjectHeld, place: PlaceAsked) -> dict[str, Any]:
    return project.schedules.history(None, place.limit, place.after)


@router.post("/schedules/halt", response_model=Halted, summary="Nothing starts any more")
def halt(asked: HaltAsked, project: ProjectHeld, caller: Runner) -> dict[str, Any]:
    """Neither schedules nor queued runs, until it is ended."""
    return project.schedules.halt(caller.by, asked.why, asked.stop_runs)


@router.post("/schedules/unhalt", response_model=Halted, summary="End the halt")
def unhalt(project: ProjectHeld, caller: Runner) -> dict[str, Any]:
    return project.schedules.unhalt(caller.by)


@router.get(
    "/schedules/{pipeline}/{trigger}/history", response_model=Page[Firing], summary="What it did"
)
def history(
    pipeline: Pipeline, trigger: Trigger, project: ProjectHeld, place: PlaceAsked
) -> dict[str, Any]:
    """Also each time that it was held back, with the reason; the newest first."""
    return project.schedules.history(f"{pipeline}/{trigger}", place.limit, place.after)


@router.get("/schedules/{pipeline}/{trigger}/next", response_model=Times, summary="When it fires")
def next_times(
    pipeline: Pipeline,
    trigger: Trigger,
    project: ProjectHeld,
    n: Annotated[int, Query(ge=1, le=100)] = 5,
) -> dict[str, Any]:
    return project.schedules.next_times(f"{pipeline}/{trigger}", n)


@router.post(
    "/schedules/{pipeline}/{trigger}/run",
    status_code=202,
    response_model=Started,
    summary="Start its pipeline now",
)
def run(
    pipeline: Pipeline, trigger: Trigger, project: ProjectHeld, caller: Runner, once: Once
) -> Any:
    """As the trigger would; limits and pauses hold no person back."""

    id = f"{pipeline}/{trigger}"

    def told(job: str) -> dict[str, Any]:
        return {"id": id, "job": job, "url": f"/runs/{job}"}

    def start(keep: Keep) -> dict[str, Any]:
        with of_its_state():
            found = project.schedules.run_now(id, caller.by, lambda c, job: keep(c, told(job)))
        return told(found["job"])

    return once.answer(202, start)


@router.post(
    "/schedules/{pipeline}/{trigger}/pause", response_model=Schedule, summary="Let it not fire"
)
def pause(
    pipeline: Pipeline, trigger: Trigger, asked: Why, project: ProjectHeld, caller: Runner
) -> dict[str, Any]:
    return project.schedules.pause(f"{pipeline}/{trigger}", caller.by, asked.why)


@router.post(
    "/schedules/{pipeline}/{trigger}/resume", response_model=Schedule, summary="Let it fire again"
)
def resume(
    pipeline: Pipeline, trigger: Trigger, project: ProjectHeld, caller: Runner
) -> dict[str, Any]:
    return project.schedules.resume(f"{pipeline}/{trigger}", caller.by)
