"""Snapshots of preference pairs."""

from typing import Annotated, Any

from fastapi import APIRouter, Path

from llmops.control.access import may
from llmops.control.project import ProjectHeld
from llmops.control.shape import Answer, Items
from llmops.spec.reference import NAME

router = APIRouter(tags=["preferences"], dependencies=[may("read")])


class SnapshotListed(Answer):
    """As `llmops preferences list --json`. builders: pairs by builder; erased: rows."""

    id: str
    layout: str
    train: int
    holdout: int
    builders: dict[str, int]
    created: str
    simulated: bool
    erased: int
    digest: str


class SnapshotShown(Answer):
    """As `llmops preferences show --json`: its manifest, and the versions that trained on it."""

    id: str
    versions: list[str]


@router.get("/preferences", response_model=Items[SnapshotListed], summary="All snapshots")
def listed(project: ProjectHeld) -> dict[str, Any]:
    from llmops.preferences.listing import listed

    return {"items": listed(project.paths)}


@router.get(
    "/preferences/{name}/{number}", response_model=SnapshotShown, summary="One snapshot's card"
)
def shown(
    name: Annotated[str, Path(pattern=f"^{NAME}$", examples=["town"])],
    number: Annotated[int, Path(ge=1, le=2**31 - 1)],
    project: ProjectHeld,
) -> dict[str, Any]:
    from llmops.lineage.uses import trained_on
    from llmops.lineage.versions import Versions
    from llmops.preferences.listing import shown
    from llmops.preferences.snapshot import find_snapshot

    found = find_snapshot(f"{name}@{number}", project.paths)
    return shown(found, trained_on(found, Versions(project.registry)))
