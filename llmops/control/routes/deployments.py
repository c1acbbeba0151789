"""Deployments: what is declared, what runs, and which version answers under which name."""

from typing import Any

from fastapi import APIRouter
from pydantic import Field

from llmops.control import deployments
from llmops.control.access import may
from llmops.control.project import ProjectHeld
from llmops.control.shape import Answer, Items

router = APIRouter(tags=["deployments"], dependencies=[may("read")])


class VariantShown(Answer):
    """model: as declared; version: that answers now."""

    model: str | None
    version: str | None
    weight: float | None


class DeploymentShown(Answer):
    """status: stopped, broken (the file does not load), or of its supervisor: starting, ready,
    restarting, held; url: the gateway's; problems: why a variant does not move, by variant."""

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
    return {"items": deployments.deployments(project.settings)}
