"""Experiments: versions that share the traffic, and what is known of them so far."""

from typing import Annotated, Any

from fastapi import APIRouter, Path

from llmops.control.access import may
from llmops.control.project import ProjectHeld
from llmops.control.shape import Answer, Items
from llmops.errors import NotFound
from llmops.spec.reference import NAME

router = APIRouter(tags=["experiments"], dependencies=[may("read")])


class ExperimentShown(Answer):
    """As `llmops experiments show --json`: with figures by variant once two versions face each
    other."""

    experiment: str
    control: str
    candidate: str
    outcome: str
    verdict: str
    why: str
    variants: list[dict[str, Any]]


@router.get("/experiments", response_model=Items[ExperimentShown], summary="All experiments")
def listed(project: ProjectHeld) -> dict[str, Any]:
    """What they say now; asked anew at most every few seconds."""
    return {"items": project.experiments.listed()}


@router.get("/experiments/{name}", response_model=ExperimentShown, summary="One experiment")
def shown(
    name: Annotated[str, Path(pattern=f"^{NAME}$", examples=["town"])], project: ProjectHeld
) -> dict[str, Any]:
    for one in project.experiments.listed():
        if one["experiment"] == name:
            return one
    raise NotFound(f"no deployment `{name}` declares an experiment")
