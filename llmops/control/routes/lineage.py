"""Lineages: what a version was made of, and which versions anything went into.

The same graphs as `llmops lineage --json`. A user is named as the application does, and never told.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Query

from llmops.control.access import may
from llmops.control.project import Project, ProjectHeld
from llmops.control.routes.models import Model, Number
from llmops.control.shape import Answer
from llmops.errors import BadInput

router = APIRouter(tags=["models"], dependencies=[may("read")])


class GraphNode(Answer):
    """kind, state: as docs/registry.md lists them; state is empty for what is there as it was."""

    id: str
    kind: str
    label: str
    state: str
    facts: dict[str, Any]


class Graph(Answer):
    """about: the ids of what was asked for; edges: {from, to, relation, facts}, from what was used
    to what was made of it; notes: what could not be looked at."""

    about: list[str]
    nodes: list[GraphNode]
    edges: list[dict[str, Any]]
    notes: list[str]


_Asked = Annotated[str | None, Query(max_length=1024)]


@router.get(
    "/models/{name}/versions/{number}/lineage",
    response_model=Graph,
    summary="What a version was made of, and what came of it",
)
def of_version(name: Model, number: Number, project: ProjectHeld) -> dict[str, Any]:
    """As `llmops lineage NAME:vN --json`."""
    from llmops.lineage.of_version import of_version

    with _opened(project) as opened:
        return of_version(f"{name}:v{number}", opened).record()


@router.get(
    "/lineage",
    response_model=Graph,
    summary="Which versions a file, an answer or a user's data went into",
)
def of_anything(
    project: ProjectHeld, data: _Asked = None, inference: _Asked = None, user: _Asked = None
) -> dict[str, Any]:
    """One of `data` (a file, relative to the project), `inference` and `user`; as `llmops lineage
    --data FILE --json` and its like, but for files that neither lie in the project nor were trained
    on: 404."""
    from llmops.lineage.of_data import of_data
    from llmops.lineage.of_log import of_inference, of_user

    asked = {of_data: data, of_inference: inference, of_user: user}
    given = [(ask, text) for ask, text in asked.items() if text is not None]
    if len(given) != 1:
        raise BadInput(
            "of what is the lineage to be shown? One thing at a time",
            fix="pass one of `data`, `inference` and `user`",
        )
    ((ask, text),) = given
    with _opened(project) as opened:
        return ask(text, opened).record()


def _opened(project: Project) -> Any:
    from llmops.lineage.project import Project as Opened

    return Opened(project.settings, lambda: project.database, closed=True)
