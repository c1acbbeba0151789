"""Deployments: what is declared, what runs, and which version answers under which name."""

from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import Field

from llmops.control.access import Runner, may
from llmops.control.idempotency import Keep, Once
from llmops.control.project import ProjectHeld
from llmops.control.shape import Answer, Ask, Items
from llmops.control.targets import Overrides, Target, find, typed
from llmops.errors import NotFound
from llmops.spec.reference import NAME

router = APIRouter(tags=["deployments"], dependencies=[may("read")])


class VariantShown(Answer):
    """model: as declared; version: that answers now."""

    model: str | None
    version: str | None
    weight: float | None


class DeploymentShown(Answer):
    """status: stopped, failed (to start; `problems` says why), broken (the file does not load),
    or of its supervisor: starting, ready, restarting, held; url: the gateway's; problems: why a
    variant does not move, by variant."""

    name: str
    file: str
    running: bool
    status: str
    url: str | None
    variants: dict[str, VariantShown]
    problems: dict[str, str] = Field(default_factory=dict)
    waiting: dict[str, str] = Field(default_factory=dict)


@router.get("/deployments", response_model=Items[DeploymentShown], summary="All deployments")
def listed(project: ProjectHeld) -> dict[str, Any]:
    return {"items": project.deployer.listed()}


class DeployAsked(Ask):
    deployment: Target = Field(examples=["serving/town.yaml"])
    overrides: Overrides = Field(default_factory=list)


class Deploying(Answer):
    """pid: of its supervisor; log: what it says, relative to the project."""

    name: str
    pid: int
    log: str
    url: str


class Stopping(Answer):
    name: str
    state: str


@router.post("/deploy", status_code=202, response_model=Deploying, summary="Serve a deployment")
def deploy(asked: DeployAsked, project: ProjectHeld, _: Runner, once: Once) -> Any:
    """In a process of its own, which goes on when this one ends; GET /deployments tells when it is
    ready, or why it failed."""

    def start(_keep: Keep) -> dict[str, Any]:
        file = find(asked.deployment, project.declarations, "deployment")
        done = project.deployer.start(file, typed(asked.overrides), once.correlation)
        return {**done, "url": f"/deployments/{done['name']}"}

    return once.answer(202, start)


Deployment = Annotated[str, Path(pattern=f"^{NAME}$", examples=["town"])]


@router.get("/deployments/{name}", response_model=DeploymentShown, summary="One deployment")
def shown(name: Deployment, project: ProjectHeld) -> dict[str, Any]:
    for one in project.deployer.listed():
        if one["name"] == name:
            return one
    raise NotFound(f"there is no deployment `{name}`")


@router.post(
    "/deployments/{name}/stop", status_code=202, response_model=Stopping, summary="End it in order"
)
def stop(name: Deployment, project: ProjectHeld, _: Runner) -> dict[str, Any]:
    project.deployer.stop(name)
    return {"name": name, "state": "stopping"}
