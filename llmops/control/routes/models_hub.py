"""Versions to the Hub and from it, and the pushes that wait."""

from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import Field

from llmops.control.access import Pusher, Reader, may
from llmops.control.problems import of_its_state
from llmops.control.project import ProjectHeld
from llmops.control.routes.models import Model
from llmops.control.shape import Answer, Ask, Items

router = APIRouter(tags=["models"], dependencies=[may("read")])

Version = Annotated[str, Field(pattern=r"^(|v[1-9][0-9]{0,9}|@.{1,64})$", examples=["v2"])]
"""vN, or @alias; empty for the newest."""
Repository = Annotated[str | None, Field(max_length=200, examples=["acme/town"])]
"""Left out: as llmops.toml declares it."""


class PushAsked(Ask):
    version: Version = ""
    repository: Repository = None
    public: bool = False


class PullAsked(Ask):
    """aliases: those that name it there name it here, too. That needs the scope `override` as well,
    as does a repository that llmops.toml does not name: evidence comes from there."""

    version: Version = ""
    repository: Repository = None
    aliases: bool = False


class WaitingShown(Answer):
    """due: when it is tried next, None for one that waits for a person; error: what the last try
    met."""

    id: str
    version: str
    repository: str
    tries: int
    due: str | None
    error: str


class PulledShown(Answer):
    """new: whether it was not here before. aliases: those that name it there."""

    version: str
    new: bool
    aliases: list[str]


@router.post(
    "/models/{name}/push",
    response_model=Items[WaitingShown],
    status_code=202,
    summary="Put a version into the outbox",
)
def push(name: Model, asked: PushAsked, project: ProjectHeld, _: Pusher) -> dict[str, Any]:
    """The control process pushes it, and tries again while the Hub is away. The same push waits
    once."""
    from llmops.registry.remote.outbox import Outbox
    from llmops.registry.remote.place import chosen, repository_of

    registry = project.registry
    repository = repository_of(name, project.settings, asked.repository)
    box = Outbox(registry)
    versions = chosen(_text(name, asked.version), registry)
    put = [box.put(one, repository, public=asked.public) for one in versions]
    return {"items": [one.model_dump() for one in put]}


@router.post("/models/{name}/pull", response_model=PulledShown, summary="Bring a version")
def pull(name: Model, asked: PullAsked, project: ProjectHeld, caller: Pusher) -> dict[str, Any]:
    """Answers once it is here, which may take long; cut off, the same request goes on. 503 with
    the code `hub_away` while the Hub cannot be asked."""
    from llmops.registry.remote.place import repository_of
    from llmops.registry.remote.pull import pull

    named = project.settings.hub.repository(name)
    if asked.aliases or named is None or asked.repository not in (None, named):
        caller.must("override", name)
    repository = repository_of(name, project.settings, asked.repository)
    text, registry = _text(name, asked.version), project.registry
    with of_its_state():
        return vars(pull(text, repository, registry, project.settings, aliases=asked.aliases))


@router.get("/outbox", response_model=Items[WaitingShown], summary="Pushes that wait for the Hub")
def waiting(project: ProjectHeld) -> dict[str, Any]:
    """Oldest first."""
    from llmops.registry.remote.outbox import Outbox

    return {"items": [one.model_dump() for one in Outbox(project.registry).waiting()]}


@router.post("/outbox/{push}/drop", response_model=WaitingShown, summary="Do not push it")
def drop(
    push: Annotated[str, Path(pattern=r"^[A-Za-z0-9._-]{1,120}$")],
    project: ProjectHeld,
    caller: Reader,
) -> dict[str, Any]:
    """Needs the scope `push` of its model."""
    from llmops.registry.remote.outbox import Outbox

    box = Outbox(project.registry)
    one = box.get(push)
    caller.must("push", one.version.rpartition(":")[0])
    box.drop(push)
    return one.model_dump()


def _text(name: str, version: str) -> str:
    return f"{name}:{version}" if version.startswith("v") else f"{name}{version}"
