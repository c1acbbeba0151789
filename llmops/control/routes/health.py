"""Whether the process lives, is ready, and who asks."""

from typing import Literal

from fastapi import APIRouter

from llmops.control.access import Reader
from llmops.control.project import ProjectHeld
from llmops.control.shape import Answer

router = APIRouter(tags=["health"])


class Health(Answer):
    status: Literal["ok"]


class Ready(Answer):
    """database: whether it answers; scheduler, ingest: whether their threads run (None: turned
    off)."""

    status: Literal["ready"]
    database: bool


class Who(Answer):
    """by: how what this caller does is recorded."""

    name: str
    scopes: list[str]
    by: str


@router.get("/healthz", response_model=Health, summary="The process answers")
def healthz() -> dict[str, str]:
    return {"status": "ok"}


@router.get("/readyz", response_model=Ready, summary="Its database answers; 503 when not")
def readyz(project: ProjectHeld) -> dict[str, object]:
    import sqlalchemy as sa

    from llmops.store.database import reading

    with reading(project.database) as connection:
        connection.execute(sa.select(1))
    return {"status": "ready", "database": True}


@router.get("/whoami", response_model=Who, summary="Who asks, and what they may do")
def whoami(caller: Reader) -> dict[str, object]:
    return {"name": caller.name, "scopes": list(caller.scopes), "by": caller.by}
