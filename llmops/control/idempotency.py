"""Starting work once, however often a client asks: the header `Idempotency-Key`.

The first answer to a key is kept for a day, in the transaction that does the work, and given again
to whoever sends the same key with the same request (llmops/scheduling/requests.py). What was
refused is not kept: it may be sent again.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Depends, Header, Request
from fastapi.responses import JSONResponse, Response

from llmops.control.access import Reader
from llmops.control.problems import Refused, conflict
from llmops.control.project import Project, ProjectHeld
from llmops.control.requests import Correlation
from llmops.scheduling import requests

if TYPE_CHECKING:
    import sqlalchemy as sa

Keep = Callable[["sa.Connection", dict[str, Any]], None]
"""Keeps an answer in the transaction of the work that it tells of."""


@dataclass(frozen=True)
class _Once:
    """One request that starts work. key: None when the client sent none; owner: whose key it is;
    digest: sha256 of method, path and body."""

    project: Project
    key: str | None
    owner: str
    digest: str
    correlation: str

    def answer(self, status: int, do: Callable[[Keep], dict[str, Any]]) -> Response:
        """What `do` made, or what was answered before. `do` may have its answer kept together with
        its work; else it is kept afterwards."""
        if self.key is None:
            return JSONResponse(do(lambda _connection, _body: None), status)
        claim = self._claim(self.key)
        if claim.kind == "replay":
            headers = {"idempotent-replayed": "true"}
            return Response(claim.body, claim.status, headers, media_type="application/json")
        return self._first(self.key, status, do)

    def _first(self, key: str, status: int, do: Callable[[Keep], dict[str, Any]]) -> Response:
        from llmops.store.database import writing

        kept = False

        def keep(connection: "sa.Connection", body: dict[str, Any]) -> None:
            nonlocal kept
            requests.answer(connection, self.owner, key, status, json.dumps(body))
            kept = True

        try:
            found = do(keep)
        except BaseException:
            requests.release(self.project.database, self.owner, key)
            raise
        if not kept:
            with writing(self.project.database) as connection:
                keep(connection, found)
        return JSONResponse(found, status)

    def _claim(self, key: str) -> requests.Claim:
        now = self.project.clock.now()
        claim = requests.claim(self.project.database, self.owner, key, self.digest, now)
        if claim.kind == "other":
            raise Refused(
                422,
                "key_of_another_request",
                "this idempotency key came with another request",
                fix="a new request needs a new key",
            )
        if claim.kind == "busy":
            refused = conflict("a request with this idempotency key is being answered")
            refused.headers["retry-after"] = "1"
            raise refused
        return claim


async def _once(
    request: Request,
    project: ProjectHeld,
    correlation: Correlation,
    caller: Reader,
    idempotency_key: Annotated[
        str | None,
        Header(
            min_length=1,
            max_length=200,
            pattern=r"^[!-~]+$",
            description="of the client's making; the same key starts nothing again",
            examples=["7f9c2ba4-e88f-4f3a-9e3a-3f0d1a4c5e6b"],
        ),
    ] = None,
) -> _Once:
    asked = f"{request.method} {request.url.path}?{request.url.query}\n".encode()
    digest = hashlib.sha256(asked + await request.body()).hexdigest()
    return _Once(project, idempotency_key, caller.by, digest, correlation)


Once = Annotated[_Once, Depends(_once)]
