"""Plans: what a run would do, and why. Reads only."""

from typing import Any

from fastapi import APIRouter

from llmops.control.access import may
from llmops.control.plans import PlanAsked, PlanShown, make
from llmops.control.project import ProjectHeld

router = APIRouter(tags=["plans"], dependencies=[may("run")])


@router.post("/plans", response_model=PlanShown, summary="What a run would do")
def plan(asked: PlanAsked, project: ProjectHeld) -> dict[str, Any]:
    """Of a recipe or pipeline in the project (`target`), or of a text (`yaml` and `kind`)."""
    return make(asked, project)
