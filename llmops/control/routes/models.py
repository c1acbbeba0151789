"""Models, their versions, aliases and evidence."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import Field

from llmops.control.access import Promoter, may
from llmops.control.idempotency import Keep, Once
from llmops.control.pages import PlaceAsked, numbered
from llmops.control.problems import of_its_state
from llmops.control.project import ProjectHeld
from llmops.control.shape import Answer, Ask, Items, Page
from llmops.errors import BadInput
from llmops.spec.reference import NAME

router = APIRouter(tags=["models"], dependencies=[may("read")])

Model = Annotated[str, Path(pattern=f"^{NAME}$", examples=["town"])]
Number = Annotated[int, Path(ge=1, le=2**31 - 1, examples=[3])]


class Version(Answer):
    """As `llmops models list --json`. size: bytes; created: ISO 8601, UTC; metrics: of its
    training."""

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
    metrics: dict[str, float]


class ModelShown(Answer):
    """aliases: the version that each names; rollbacks: the one that it would name again."""

    name: str
    aliases: dict[str, str]
    rollbacks: dict[str, str | None]
    versions: list[Version]


class MoveShown(Answer):
    """A move of an alias. before: the version that it named; evidence: the ids of the pieces that
    it stands on."""

    time: str
    alias: str
    version: str
    before: str | None
    why: str
    by: str
    evidence: list[str] = Field(default_factory=list)


class PromotionAsked(Ask):
    """version: NAME:vN, vN or N. override: without passed evidence; `why` is kept with it then."""

    version: str | int = Field(examples=["town:v3"])
    alias: str = Field(max_length=64, examples=["production"])
    override: bool = False
    why: str = Field("", max_length=2000)


class RollbackAsked(Ask):
    """leaving: refused when the alias names another version by now."""

    alias: str = Field("production", max_length=64)
    leaving: str | None = Field(None, max_length=100, examples=["town:v4"])
    why: str = Field("", max_length=2000, examples=["answers in French"])


class Moved(Answer):
    """move: None when the alias named that version already."""

    moved: bool
    move: MoveShown | None


class EvidenceShown(Answer):
    id: str
    time: str
    kind: str
    version: str
    passed: bool
    summary: str
    missing: list[str]


class Standing(Items[EvidenceShown]):
    """decides: the id of the piece that a promotion would stand on; missing: what that lacks, in
    words; nothing when an alias may move."""

    decides: str | None
    missing: list[str]


@router.get("/models", response_model=Items[Version], summary="All versions, by model")
def models(project: ProjectHeld) -> dict[str, Any]:
    from llmops.registry.report import listed

    return {"items": listed(project.registry), "next": None}


@router.get("/models/{name}", response_model=ModelShown, summary="A model with its versions")
def model(name: Model, project: ProjectHeld) -> dict[str, Any]:
    from llmops.registry.promotion import back
    from llmops.registry.report import listed_of

    registry = project.registry
    versions = listed_of(name, registry)
    if not versions:
        raise registry.no_model(name)
    aliases = {alias: f"{name}:v{n}" for alias, n in registry.aliases(name).items()}
    history = registry.history(name)
    rollbacks = {alias: back(alias, history) for alias in aliases}
    return {"name": name, "aliases": aliases, "rollbacks": rollbacks, "versions": versions}


@router.get("/models/{name}/versions/{number}", response_model=Version, summary="One version")
def version(name: Model, number: Number, project: ProjectHeld) -> dict[str, Any]:
    """As `llmops models show --json`."""
    from llmops.registry.shown import shown

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
    response_model=Standing,
    summary="What was measured of a version",
)
def evidence(
    name: Model,
    number: Number,
    project: ProjectHeld,
    alias: Annotated[str, Query(max_length=64, description="that a promotion would move")] = "",
) -> dict[str, Any]:
    """Oldest first; and what a promotion would make of it."""
    from llmops.registry.report import evidence_of
    from llmops.registry.standing import policy_of, stands_on

    registry = project.registry
    found = evidence_of(f"{name}:v{number}", registry)
    policy = policy_of(name, alias, registry)
    stands = stands_on(registry.resolve(f"{name}:v{number}"), alias, registry, policy)
    return {
        "items": [piece.model_dump() for piece in found],
        "decides": stands.decides.id if stands.decides else None,
        "missing": stands.missing,
    }


@router.get(
    "/models/{name}/versions/{number}/golden",
    response_model=Page[dict[str, Any]],
    summary="What servers are compared with: prompts, their tokens and log-probabilities",
)
def golden(name: Model, number: Number, project: ProjectHeld, place: PlaceAsked) -> dict[str, Any]:
    found = numbered(project.registry.resolve(f"{name}:v{number}").golden, place)
    return {**found, "items": [one.model_dump() for one in found["items"]]}


@router.get(
    "/models/{name}/versions/{number}/evaluation",
    response_model=dict[str, Any],
    summary="The report of its newest evaluation",
)
def evaluation(name: Model, number: Number, project: ProjectHeld) -> dict[str, Any]:
    """As `llmops eval show --json`."""
    from llmops.evaluation.history import find, report_of

    found = find(f"{name}:v{number}", project.registry, project.paths)
    return report_of(found, project.settings.root)


@router.get(
    "/models/{name}/evidence",
    response_model=Items[EvidenceShown],
    summary="What was measured of all its versions",
)
def all_evidence(name: Model, project: ProjectHeld) -> dict[str, Any]:
    """Oldest first."""
    from llmops.registry.report import evidence_of

    found = evidence_of(name, project.registry)
    return {"items": [piece.model_dump() for piece in found]}


@router.post("/models/{name}/promote", response_model=Moved, summary="Move an alias on evidence")
def promote(
    name: Model, asked: PromotionAsked, project: ProjectHeld, caller: Promoter
) -> dict[str, Any]:
    """409 with the code `gate_refused` when the evidence that the alias asks for has not passed, or
    there is none. `override` needs the scope of that name."""
    from llmops.registry.promotion import promote

    if asked.override:
        caller.must("override", name)
    move = promote(
        _version(name, asked.version),
        asked.alias,
        project.registry,
        override=asked.why if asked.override else None,
        why="" if asked.override else asked.why,
        by=caller.by,
    )
    return {"moved": move is not None, "move": None if move is None else move.model_dump()}


@router.post("/models/{name}/rollback", response_model=Moved, summary="Move an alias back")
def roll_back(
    name: Model, asked: RollbackAsked, project: ProjectHeld, caller: Promoter, once: Once
) -> Any:
    """To the version that it named before; again, without an idempotency key or with a new one: to
    the one before that. 409 when it names another than `leaving`, or named nothing before."""
    from llmops.registry.promotion import rollback

    def move(_keep: Keep) -> dict[str, Any]:
        why, by, leaving = asked.why, caller.by, asked.leaving
        with of_its_state():
            made = rollback(name, asked.alias, project.registry, why=why, by=by, leaving=leaving)
        return {"moved": True, "move": made.model_dump()}

    return once.answer(200, move)


def _version(name: str, asked: str | int) -> str:
    """NAME:vN, from that or from `vN` or N. Raises BadInput for a version of another model."""
    text = str(asked)
    if text.isascii() and text.isdigit() and len(text) < 10:
        return f"{name}:v{text}"
    if ":" not in text and "@" not in text:
        return f"{name}:{text}"
    if not text.startswith((f"{name}:", f"{name}@")):
        raise BadInput(f"`{text[:100]}` is no version of {name}")
    return text
