"""Models, their versions, aliases and evidence."""

from typing import Annotated, Any

from fastapi import APIRouter, Path

from llmops.control.access import may
from llmops.control.project import ProjectHeld
from llmops.control.shape import Answer, Items
from llmops.spec.reference import NAME

router = APIRouter(tags=["models"], dependencies=[may("read")])

Model = Annotated[str, Path(pattern=f"^{NAME}$", examples=["town"])]
Number = Annotated[int, Path(ge=1, le=2**31 - 1, examples=[3])]


class Version(Answer):
    """As `llmops models list --json`. size: bytes; created: ISO 8601, UTC."""

    version: str
    kind: str
    stage: str
    base: str | None
    parent: str | None
    aliases: list[str]
    size: int
    created: str
    fingerprint: str | None
    lora_rank: int | None


class ModelShown(Answer):
    """aliases: the version that each names."""

    name: str
    aliases: dict[str, str]
    versions: list[Version]


class MoveShown(Answer):
    """A move of an alias; before: the version that it named."""

    time: str
    alias: str
    version: str
    before: str | None
    why: str
    by: str


class EvidenceShown(Answer):
    id: str
    time: str
    kind: str
    version: str
    passed: bool
    summary: str
    missing: list[str]


@router.get("/models", response_model=Items[Version], summary="All versions, by model")
def models(project: ProjectHeld) -> dict[str, Any]:
    from llmops.registry.report import listed

    return {"items": listed(project.registry), "next": None}


@router.get("/models/{name}", response_model=ModelShown, summary="A model with its versions")
def model(name: Model, project: ProjectHeld) -> dict[str, Any]:
    from llmops.registry.report import listed_of

    registry = project.registry
    versions = listed_of(name, registry)
    if not versions:
        registry.resolve(f"{name}:v1")  # tells which models there are
    aliases = {alias: f"{name}:v{n}" for alias, n in registry.aliases(name).items()}
    return {"name": name, "aliases": aliases, "versions": versions}


@router.get("/models/{name}/versions/{number}", response_model=Version, summary="One version")
def version(name: Model, number: Number, project: ProjectHeld) -> dict[str, Any]:
    """As `llmops models show --json`."""
    from llmops.registry.report import shown

    registry = project.registry
    return shown(registry.resolve(f"{name}:v{number}"), registry)


@router.get(
    "/models/{name}/history", response_model=Items[MoveShown], summary="Every move of its aliases"
)
def history(name: Model, project: ProjectHeld) -> dict[str, Any]:
    """Oldest first."""
    return {"items": [move.model_dump() for move in project.registry.history(name)]}


@router.get(
    "/models/{name}/versions/{number}/evidence",
    response_model=Items[EvidenceShown],
    summary="What was measured of a version",
)
def evidence(name: Model, number: Number, project: ProjectHeld) -> dict[str, Any]:
    from llmops.registry.report import evidence_of

    found = evidence_of(f"{name}:v{number}", project.registry)
    return {"items": [piece.model_dump() for piece in found]}
