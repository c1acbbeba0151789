"""Who needs a version, deleting it, and the space that models take."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import Field

from llmops.control.access import Cleaner, Deleter, may
from llmops.control.idempotency import Keep, Once
from llmops.control.problems import of_its_state
from llmops.control.project import ProjectHeld
from llmops.control.routes.models import Model, Number
from llmops.control.shape import Answer, Ask, Items

router = APIRouter(tags=["models"], dependencies=[may("read")])

KeepNewest = Annotated[int | None, Field(ge=1, le=1_000_000, examples=[5])]


class NeedShown(Answer):
    """what: who needs it, and as what; fix: what ends that."""

    what: str
    fix: str


class DeletionAsked(Ask):
    """way_back: false deletes also a version that a rollback leads to."""

    why: str = Field("", max_length=2000)
    way_back: bool = True


class Gone(Answer):
    """freed: bytes."""

    version: str
    freed: int


class GarbageShown(Answer):
    """version: NAME:vN of one that nothing needs; size: bytes."""

    what: str
    path: str
    size: int
    version: str | None


class Space(Answer):
    """As `llmops models size --json`, with what `gc` would remove; all sizes in bytes."""

    models: list[dict[str, Any]]
    garbage: list[GarbageShown]


class CollectAsked(Ask):
    """keep: of each model only the newest N versions, and those that are needed."""

    keep: KeepNewest = None


@router.get(
    "/models/{name}/versions/{number}/needs",
    response_model=Items[NeedShown],
    summary="Who needs a version",
)
def needs(name: Model, number: Number, project: ProjectHeld) -> dict[str, Any]:
    """Nothing for one that may be deleted."""
    from llmops.storage.needs import Needs

    version = project.registry.resolve(f"{name}:v{number}").id
    return {"items": [vars(one) for one in Needs(project.settings, project.registry).of(version)]}


@router.post(
    "/models/{name}/versions/{number}/delete", response_model=Gone, summary="Delete a version"
)
def remove(
    name: Model,
    number: Number,
    asked: DeletionAsked,
    project: ProjectHeld,
    caller: Deleter,
    once: Once,
) -> Any:
    """409 while anything needs it."""
    from llmops.storage.deletion import delete

    def do(_keep: Keep) -> dict[str, Any]:
        with of_its_state():
            done = delete(
                f"{name}:v{number}",
                project.registry,
                project.settings,
                why=asked.why,
                by=caller.by,
                way_back=asked.way_back,
            )
        return vars(done)

    return once.answer(200, do)


@router.get("/storage", response_model=Space, summary="The space that models take")
def space(
    project: ProjectHeld, keep: Annotated[KeepNewest, Query(description="as of /storage/gc")] = None
) -> dict[str, Any]:
    from llmops.storage.garbage import garbage
    from llmops.storage.sizes import sizes

    models = sizes(project.registry)
    return {
        "models": [{**vars(of), "versions": [vars(one) for one in each]} for of, each in models],
        "garbage": [_shown(one) for one in garbage(project.registry, project.settings, keep)],
    }


@router.post("/storage/gc", response_model=Items[GarbageShown], summary="Give space back")
def gc(asked: CollectAsked, project: ProjectHeld, caller: Cleaner) -> dict[str, Any]:
    """What nothing refers to and no backend has loaded; what went is told."""
    from llmops.storage.garbage import collect, garbage

    registry, settings = project.registry, project.settings
    found = garbage(registry, settings, asked.keep)
    gone = collect(found, registry, settings, by=caller.by, why="gc")
    return {"items": [_shown(one) for one in gone]}


def _shown(one: Any) -> dict[str, Any]:
    return {**vars(one), "path": str(one.path)}
