"""What went wrong, as problem+json (RFC 9457): the errors of the CLI with a status and a code.

BadInput is 400, what is not there 404, GateRefused 409, Failed 503 where the far side is away
and 500 otherwise. Anything else that is raised is a defect: 500 without its details, which the
log has.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from llmops.control.shape import Answer
from llmops.errors import BadInput, Failed, GateRefused, LlmopsError, NotFound, Waiting
from llmops.registry.hub.errors import HubAway

LOG = logging.getLogger("llmops.control")
MEDIA = "application/problem+json"
_TYPE = "urn:llmops:problem:"


class Problem(Answer):
    """Why a request was not done. code: for programs; detail, where, fix: for people."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    where: str | None = None
    fix: str | None = None


class Refused(LlmopsError):
    """A request that is not done, with the status that says so."""

    def __init__(
        self, status: int, code: str, what: str, *, where: str = "", fix: str = "", **headers: str
    ) -> None:
        super().__init__(what, where=where, fix=fix)
        self.status = status
        self.code = code
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


def conflict(what: str, fix: str = "") -> Refused:
    """It is there, and in a state in which this cannot be done."""
    return Refused(409, "conflict", what, fix=fix)


def body(error: LlmopsError) -> dict[str, Any]:
    """The problem that an error is."""
    status, code = _kind(error)
    found: dict[str, Any] = {
        "type": _TYPE + code,
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": error.what,
        "code": code,
    }
    found.update({key: value for key in ("where", "fix") if (value := getattr(error, key))})
    return found


def _kind(error: LlmopsError) -> tuple[int, str]:
    match error:
        case Refused():
            return error.status, error.code
        case NotFound():
            return 404, "not_found"
        case BadInput():
            return 400, "bad_input"
        case GateRefused():
            return 409, "gate_refused"
        case Waiting():
            return 409, "waiting"
        case HubAway():
            return 503, "hub_away"
        case Failed() if error.what.startswith("the database:"):
            return 503, "database_away"
        case _:
            return 500, "failed"


@contextmanager
def of_its_state() -> Iterator[None]:
    """Within the block BadInput says that what is asked cannot be done with what is there now: 409
    (404 where it is not there)."""
    try:
        yield
    except NotFound:
        raise
    except BadInput as error:
        raise conflict(error.what, error.fix) from error


def respond(error: LlmopsError) -> JSONResponse:
    found = body(error)
    headers = error.headers if isinstance(error, Refused) else {}
    if found["status"] == 503:
        headers = {"retry-after": "5", **headers}
    return JSONResponse(found, found["status"], headers=headers, media_type=MEDIA)


def install(app: FastAPI) -> None:
    """Let every error of the application be answered as a problem."""

    async def told(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, LlmopsError)
        return respond(error)

    async def http(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        code = HTTPStatus(error.status_code).phrase.lower().replace(" ", "_")
        refused = Refused(error.status_code, code, str(error.detail), **dict(error.headers or {}))
        return respond(refused)

    async def invalid(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        return respond(_invalid(error))

    async def defect(request: Request, error: Exception) -> JSONResponse:
        LOG.error("%s %s: a defect", request.method, request.url.path, exc_info=error)
        return respond(
            Refused(500, "defect", "this should not happen; the log of `llmops control` says more")
        )

    app.add_exception_handler(LlmopsError, told)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(Exception, defect)


def _invalid(error: RequestValidationError) -> Refused:
    """All that is wrong with a request; nothing of what was sent is repeated, but names of keys."""
    told = []
    for item in error.errors():
        place = ".".join(str(part) for part in item["loc"])[:200]
        told.append(f"{place}: {item['msg']}")
    return Refused(422, "invalid", "; ".join(told[:10]) or "the request is not valid")
