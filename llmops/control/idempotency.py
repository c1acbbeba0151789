"""Starting work once, however often a client asks: the header `Idempotency-Key`.

The first answer to a key is kept for a day, and given again to whoever sends the same key with the
same request.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Header, Request
from fastapi.responses import JSONResponse

from llmops.control.project import Project, ProjectHeld
from llmops.control.requests import Correlation


@dataclass(frozen=True)
class _Once:
    """One request that starts work. key: None when the client sent none."""

    project: Project
    key: str | None
    correlation: str

    def answer(self, status: int, do: Callable[[], dict[str, Any]]) -> JSONResponse:
        return JSONResponse(do(), status)


def _once(
    request: Request,
    project: ProjectHeld,
    correlation: Correlation,
    idempotency_key: Annotated[
        str | None,
        Header(
            min_length=1,
            max_length=200,
            description="of the client's making; the same key starts nothing again",
            examples=["7f9c2ba4-e88f-4f3a-9e3a-3f0d1a4c5e6b"],
        ),
    ] = None,
) -> _Once:
    return _Once(project, idempotency_key, correlation)


Once = Annotated[_Once, Depends(_once)]
