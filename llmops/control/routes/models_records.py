"""What is said of versions, how two differ, and what an alias named once."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import Field

from llmops.control.access import Runner, may
from llmops.control.idempotency import Keep, Once
from llmops.control.project import ProjectHeld
from llmops.control.routes.models import Model, Number
from llmops.control.shape import Answer, Ask
from llmops.errors import BadInput

router = APIRouter(tags=["models"], dependencies=[may("read")])

Key = Annotated[str, Field(max_length=64)]


class TagsAsked(Ask):
    """set: values by key, empty for a tag without one; remove: keys."""

    set: dict[Key, Annotated[str, Field(max_length=2000)]] = Field(default_factory=dict)
    remove: list[Key] = Field(default_factory=list)


class Tagged(Answer):
    version: str
    tags: dict[str, str]


class NoteAsked(Ask):
    text: str = Field(min_length=1, max_length=10_000, examples=["answers in French"])


class Noted(Answer):
    version: str
    by: str


class Difference(Answer):
    """As `llmops models diff --json`."""

    a: str
    b: str


class Then(Answer):
    """As `llmops models at --json`. version: None where it named nothing yet, or where the clock
    was set back and `possible` has more than one."""

    model: str
    alias: str
    time: str
    version: str | None


@router.post(
    "/models/{name}/versions/{number}/tags", response_model=Tagged, summary="Set and remove tags"
)
def tag(
    name: Model, number: Number, asked: TagsAsked, project: ProjectHeld, caller: Runner
) -> dict[str, Any]:
    from llmops.registry.notes import Notes, parse_tags

    version, notes = project.registry.resolve(f"{name}:v{number}").id, Notes(project.paths)
    for key in asked.set:
        if "=" in key:
            raise BadInput(f"`{key}` cannot be a tag", fix="its value stands behind it")
    given = parse_tags(f"{key}={value}" for key, value in asked.set.items())
    if asked.remove:
        notes.untag(version, asked.remove, by=caller.by)
    if given:
        notes.tag(version, given, by=caller.by)
    return {"version": str(version), "tags": notes.tags(name).get(str(version), {})}


@router.post("/models/{name}/versions/{number}/notes", response_model=Noted, summary="Write a note")
def note(
    name: Model,
    number: Number,
    asked: NoteAsked,
    project: ProjectHeld,
    caller: Runner,
    once: Once,
) -> Any:
    """`GET /models/{name}/versions/{number}` has it, with its time and author."""
    from llmops.registry.notes import Notes

    def write(_keep: Keep) -> dict[str, Any]:
        version = project.registry.resolve(f"{name}:v{number}").id
        Notes(project.paths).note(version, asked.text, by=caller.by)
        return {"version": str(version), "by": caller.by}

    return once.answer(200, write)


@router.get(
    "/models/{name}/versions/{number}/diff",
    response_model=Difference,
    summary="How it differs from another version",
)
def diff(
    name: Model,
    number: Number,
    project: ProjectHeld,
    against: Annotated[str, Query(max_length=200, examples=["town:v1"])],
) -> dict[str, Any]:
    from llmops.registry.diff import diff

    registry = project.registry
    one, other = registry.resolve(against), registry.resolve(f"{name}:v{number}")
    return diff(one, other, registry)


@router.get("/models/{name}/at", response_model=Then, summary="What an alias named at a time")
def at(
    name: Model,
    project: ProjectHeld,
    alias: Annotated[str, Query(max_length=64, examples=["production"])],
    time: Annotated[str, Query(max_length=64, examples=["2026-11-01T12:00Z"])],
) -> dict[str, Any]:
    """With since when, why, by whom and on what evidence."""
    from llmops.registry.past import at

    return at(name, alias, time, project.registry)
