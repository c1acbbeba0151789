"""The log: what people asked, what was answered, what they said of it.

Pages are cut by time and id, newest first. Users are hashed; a filter by user takes the name that
the application uses, and the answer never tells it.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from fastapi.responses import StreamingResponse
from pydantic import Field

from llmops.control.access import Admin, may
from llmops.control.exporting import lines
from llmops.control.pages import PlaceAsked
from llmops.control.project import Project, ProjectHeld
from llmops.control.shape import Answer, Ask, Items, Page
from llmops.control.times import SinceAsked
from llmops.feedback import query

router = APIRouter(tags=["feedback"], dependencies=[may("read")])

_LINE = '{"kind": "inference", "id": "chatcmpl-06bq3v0rn2k8"}\n'


class Lines(StreamingResponse):
    media_type = "application/x-ndjson"


_Short = Annotated[str | None, Query(max_length=256)]


class Figures(Answer):
    """As `llmops feedback stats --json`: feedback has {count, mean} by kind."""

    deployment: str
    variant: str | None
    version: str | None
    source: str | None
    answers: int
    errors: int
    users: int
    feedback: dict[str, dict[str, float | None]]


class Event(Answer):
    """One event; time: milliseconds since 1970. redacted: when its texts were erased."""

    id: str
    time: int
    deployment: str
    inference: str
    kind: str
    value: float | None
    text: str | None
    variant: str | None
    version: str | None
    redacted: int | None


class AnswerGiven(Answer):
    """One answer of a deployment."""

    id: str
    time: int
    deployment: str
    variant: str
    version: str
    response: str | None
    status: int
    redacted: int | None


class AnswerShown(Answer):
    """An answer with its events, and the snapshots of preferences that hold rows of it."""

    id: str
    inference: dict[str, Any] | None
    events: list[dict[str, Any]]
    group: list[str]
    snapshots: list[dict[str, Any]]


def _filters(
    project: ProjectHeld,
    since: SinceAsked,
    deployment: _Short = None,
    variant: _Short = None,
    version: _Short = None,
    kind: Annotated[str | None, Query(max_length=32, examples=["thumbs"])] = None,
    user: Annotated[str | None, Query(max_length=256)] = None,
    source: Annotated[str | None, Query(max_length=128, description="`real` for none")] = None,
) -> query.Filters:
    return query.Filters(deployment, variant, version, kind, _hashed(user, project), source, since)


FiltersAsked = Annotated[query.Filters, Depends(_filters)]


def _hashed(user: str | None, project: Project) -> str | None:
    from llmops.feedback.identity import load_identity

    return None if user is None else load_identity(project.paths.secret).user(user)


@router.get(
    "/feedback/stats", response_model=Items[Figures], summary="Answers and feedback, counted"
)
def stats(project: ProjectHeld, since: SinceAsked, deployment: _Short = None) -> dict[str, Any]:
    from llmops.feedback.figures import stats

    return {"items": stats(project.database, deployment=deployment, since=since)}


@router.get("/feedback", response_model=Page[Event], summary="Events, the newest first")
def events(project: ProjectHeld, filters: FiltersAsked, place: PlaceAsked) -> dict[str, Any]:
    page = query.events(project.database, filters, after=place.after, size=place.limit)
    return {"items": page.rows, "next": page.after}


@router.get("/feedback/answers", response_model=Page[AnswerGiven], summary="Answers, newest first")
def answers(project: ProjectHeld, filters: FiltersAsked, place: PlaceAsked) -> dict[str, Any]:
    page = query.answers(project.database, filters, after=place.after, size=place.limit)
    return {"items": page.rows, "next": page.after}


class ForgetAsked(Ask):
    """user: as the application names the user."""

    user: str = Field(min_length=1, max_length=256)


class Forgotten(Answer):
    """As `llmops feedback forget --json`. user: hashed; inferences, events: whose texts were erased
    now."""

    user: str
    tombstone: str
    inferences: int
    events: int


@router.get(
    "/feedback/export",
    response_class=Lines,
    summary="The log as JSON lines",
    responses={200: {"content": {"application/x-ndjson": {"example": _LINE}}}},
)
def export(
    project: ProjectHeld, _: Admin, since: SinceAsked, deployment: _Short = None
) -> StreamingResponse:
    """As `llmops feedback export`: answers, then events; users are hashed."""
    database = project.database
    named = {"content-disposition": 'attachment; filename="feedback.jsonl"'}
    return Lines(lines(database, deployment=deployment, since=since), headers=named)


@router.post("/feedback/forget", response_model=Forgotten, summary="Erase a user's texts for good")
def forget(asked: ForgetAsked, project: ProjectHeld, _: Admin) -> dict[str, Any]:
    """In the log and in snapshots; versions that trained on them cannot be changed, and are
    told."""
    from llmops.feedback.erase import forget
    from llmops.feedback.identity import load_identity
    from llmops.lineage.uses import SnapshotEraser

    paths = project.paths
    identity = load_identity(paths.secret)
    eraser = SnapshotEraser(paths)
    return forget(asked.user, paths, project.database, identity, eraser).record()


@router.get("/feedback/{id}", response_model=AnswerShown, summary="One answer and all about it")
def shown(
    id: Annotated[str, Path(max_length=256, description="of an answer or an event")],
    project: ProjectHeld,
) -> dict[str, Any]:
    from llmops.lineage.uses import uses

    found = query.show(project.database, id)
    ids = [found["id"], *(event["id"] for event in found["events"])]
    snapshots = [
        {"snapshot": use.snapshot.id, "rows": use.rows, "versions": use.versions}
        for use in uses(ids, project.paths)
    ]
    return {**found, "snapshots": snapshots}
