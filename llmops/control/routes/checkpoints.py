"""Checkpoints that are still on disk."""

from typing import Any

from fastapi import APIRouter

from llmops.control.access import may
from llmops.control.checkpoints import checkpoints
from llmops.control.pages import PlaceAsked, cut
from llmops.control.project import ProjectHeld
from llmops.control.shape import Answer, Page

router = APIRouter(tags=["checkpoints"], dependencies=[may("read")])


class Checkpoint(Answer):
    """time: ISO 8601, UTC; path: relative to the project."""

    id: str
    run: str
    stage: str
    attempt: int
    step: int
    path: str
    time: str
    bytes: int


@router.get("/checkpoints", response_model=Page[Checkpoint], summary="What training can go on from")
def listed(project: ProjectHeld, place: PlaceAsked) -> dict[str, Any]:
    """Of runs that failed, were interrupted or are at it; a stage that is done keeps none."""
    return cut(checkpoints(project.paths, place.after), place, "id")
