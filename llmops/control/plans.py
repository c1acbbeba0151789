"""A plan for the API: of a file of the project, or of a text that is not saved yet."""

import json
import os
import tempfile
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from llmops.control.declarations import MOST_BYTES
from llmops.control.project import Project
from llmops.control.shape import Answer, Ask
from llmops.control.targets import Overrides, Stage, Target, find, typed
from llmops.errors import BadInput, LlmopsError, NotFound
from llmops.spec.source import display


class PlanAsked(Ask):
    """target, or yaml and kind. path: the file that the yaml is meant for; what it refers to is
    beside that."""

    target: Target | None = None
    yaml: str | None = Field(None, max_length=MOST_BYTES)
    kind: Literal["recipe", "pipeline"] | None = None
    path: str | None = Field(None, max_length=400)
    overrides: Overrides = Field(default_factory=list)
    force: bool = False
    begin: Stage = Field(None, description="make this stage again, and what comes of it")
    until: Stage = Field(None, description="leave out what this stage does not need")

    @model_validator(mode="after")
    def _one_of(self) -> "PlanAsked":
        if (self.target is None) == (self.yaml is None):
            raise ValueError("a plan is of either `target` or `yaml`")
        if self.yaml is not None and self.kind is None:
            raise ValueError("`yaml` needs `kind`")
        return self


class PlanShown(Answer):
    """As `llmops plan --json`; text: as `llmops plan` prints it."""

    name: str
    target: str
    stages: list[dict[str, Any]]
    text: str


def make(asked: PlanAsked, project: Project) -> dict[str, Any]:
    """Raises BadInput, as the command does."""
    if asked.target is not None:
        target = find(asked.target, project.declarations, "recipe", "pipeline")
        return _plan(target, asked, project)
    assert asked.yaml is not None
    folder = "recipes" if asked.kind == "recipe" else "pipelines"
    place, _ = project.declarations.place(asked.path or f"{folder}/unsaved.yaml")
    return _unsaved(asked.yaml, place, asked, project)


def _unsaved(text: str, place: Path, asked: PlanAsked, project: Project) -> dict[str, Any]:
    """Planned from a file beside the place that it is meant for, where paths mean the same. It has
    that one's name with another ending, so that nobody takes it for a declaration."""
    place.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=place.parent, prefix=f"{place.stem}.unsaved-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        shown = json.dumps(_plan(Path(name), asked, project), ensure_ascii=False)
        found: dict[str, Any] = json.loads(shown.replace(Path(name).name, place.name))
        return found
    except LlmopsError as error:
        there, meant = display(Path(name)), display(place)
        error.what, error.where = (
            error.what.replace(there, meant),
            error.where.replace(there, meant),
        )
        raise
    finally:
        Path(name).unlink(missing_ok=True)


def _plan(target: Path, asked: PlanAsked, project: Project) -> dict[str, Any]:
    from llmops.runner.plan import describe, make_plan
    from llmops.runner.plan_text import plan_text
    from llmops.runner.scope import Scope
    from llmops.stages.catalog import KINDS

    context = project.context()
    overrides = typed(asked.overrides)
    scope = Scope(asked.force, asked.begin, asked.until)
    try:
        plan = make_plan(target, overrides, context=context, kinds=KINDS, scope=scope)
    except NotFound as error:  # something that the declaration names, not what was asked for
        raise BadInput(error.what, where=error.where, fix=error.fix) from error
    context.remember()
    shown = describe(plan, context)
    return {**shown, "text": plan_text(shown)}
