"""What waits for a person."""

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter

from llmops.control.access import may
from llmops.control.project import ProjectHeld
from llmops.control.shape import Answer, Items

router = APIRouter(tags=["approvals"], dependencies=[may("read")])


class WaitsShown(Answer):
    """stage: None for a run that has not begun; since: ISO 8601, UTC; evidence: what speaks for
    it; by: who asked for the run."""

    run: str
    stage: str | None
    what: str
    since: str
    evidence: str
    by: str


@router.get("/approvals", response_model=Items[WaitsShown], summary="What waits for a person")
def listed(project: ProjectHeld) -> dict[str, Any]:
    """The oldest first; POST /runs/{run}/approve answers."""
    from llmops.scheduling.approvals import approvals

    return {"items": [asdict(one) for one in approvals(project.queue)]}
