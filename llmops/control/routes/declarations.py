"""Recipes, pipelines, deployments and suites: read, checked, written; and their grammars."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query
from pydantic import Field

from llmops.control.access import Runner, may
from llmops.control.declarations import MOST_BYTES, check
from llmops.control.project import ProjectHeld
from llmops.control.shape import Answer, Ask, Items

router = APIRouter(tags=["declarations"], dependencies=[may("read")])

Kind = Literal["recipe", "pipeline", "deployment", "suite"]
Text = Annotated[str, Field(max_length=MOST_BYTES, examples=["name: town\nstages: {}\n"])]
Place = Annotated[str, Path(max_length=400, examples=["recipes/sft.yaml"])]


class Declared(Answer):
    """stage: of a training recipe (cpt, sft, dpo, ...), else the recipe's kind; problem: why it is
    no YAML."""

    path: str
    kind: Kind
    name: str
    stage: str | None = None
    digest: str
    problem: str | None = None


class Declaration(Answer):
    """digest: sha256 of the text."""

    path: str
    kind: Kind
    text: str
    digest: str


class Written(Ask):
    """digest: of the text that this one replaces; null for a new file."""

    text: Text
    digest: str | None = None


class ToCheck(Ask):
    """path: the file that the text is meant for; its relative paths are beside that."""

    kind: Kind
    text: Text
    path: str | None = Field(None, max_length=400, examples=["recipes/sft.yaml"])


class ProblemFound(Answer):
    """line: from 1."""

    message: str
    line: int | None
    key: str | None
    fix: str | None


class Checked(Answer):
    """value: the declaration with its defaults and interpolations, once it loads."""

    ok: bool
    problems: list[ProblemFound]
    value: dict[str, Any] | None


@router.get("/declarations", response_model=Items[Declared], summary="All declarations")
def listed(project: ProjectHeld, kind: Annotated[Kind | None, Query()] = None) -> dict[str, Any]:
    return {"items": project.declarations.listed(kind)}


@router.post("/declarations/check", response_model=Checked, summary="Whether a text would load")
def checked(asked: ToCheck, project: ProjectHeld, _: Runner) -> dict[str, Any]:
    from llmops.control.declarations import FOLDERS

    place = asked.path or f"{FOLDERS[asked.kind]}/unsaved.yaml"
    value, problems = check(asked.kind, asked.text, project.declarations.place(place)[0])
    return {"ok": not problems, "problems": problems, "value": value}


@router.get(
    "/declarations/{path:path}", response_model=Declaration, summary="One, as it is written"
)
def read(path: Place, project: ProjectHeld) -> dict[str, Any]:
    return project.declarations.read(path)


@router.put("/declarations/{path:path}", response_model=Declaration, summary="Write one")
def write(path: Place, written: Written, project: ProjectHeld, _: Runner) -> dict[str, Any]:
    """Only a text that loads, and only over what its writer has read: `digest`."""
    return project.declarations.write(path, written.text, written.digest)


@router.get("/schemas/{kind}", response_model=dict[str, Any], summary="A grammar as JSON Schema")
def schema(kind: Kind) -> dict[str, Any]:
    from llmops.spec.schema import schema_of

    return schema_of(kind)
