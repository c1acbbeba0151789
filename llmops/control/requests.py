"""Each request: its correlation id, how long it took, what it was answered.

`X-Request-Id` comes in, or is made here; it goes out, into the log of problems, and along with
what the request starts, down to the log of the engine.
"""

import logging
import re
import time
import uuid
from typing import Annotated

from fastapi import Depends, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from llmops.gateway.metrics import Histogram, Numbers
from llmops.store import logs

LOG = logging.getLogger("llmops.control")

HEADER = b"x-request-id"
_GIVEN = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class Counted:
    """What a process was asked, for /metrics."""

    def __init__(self) -> None:
        labels = ("method", "route", "status")
        self.requests = Numbers("counter", "requests_total", "Requests", labels, of="control")
        self.seconds = Histogram(
            "request_seconds", "Until the answer ended", ("route",), of="control"
        )
        self.open = Numbers("gauge", "open_requests", "Being answered now", of="control")


class Requests:
    """ASGI middleware, the outermost."""

    def __init__(self, app: ASGIApp, counted: Counted) -> None:
        self._app = app
        self._counted = counted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = dict(scope["headers"]).get(HEADER, b"")
        correlation = given if _GIVEN.fullmatch(given) else uuid.uuid4().hex.encode()
        scope.setdefault("state", {})["correlation"] = correlation.decode()
        logs.correlation.set(correlation.decode())
        status = 500
        began = time.perf_counter()

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (HEADER, correlation)]
            await send(message)

        self._counted.open.add(())
        try:
            await self._app(scope, receive, sending)
        finally:
            self._counted.open.add((), -1)
            route = getattr(scope.get("route"), "path", "none")
            method = scope["method"] if route != "none" else "any"
            self._counted.requests.add((method, route, str(status)))
            took = time.perf_counter() - began
            self._counted.seconds.observe((route,), took)
            if scope["method"] not in ("GET", "HEAD", "OPTIONS"):
                path = scope.get("raw_path", b"").decode("ascii", "replace")
                _log(scope["method"], path, status, took)


def _log(method: str, path: str, status: int, seconds: float) -> None:
    """Of what may change something."""
    fields = {"method": method, "path": path, "status": status, "seconds": round(seconds, 3)}
    LOG.info("%s %s: %s", method, path, status, extra=fields)


def _correlation(request: Request) -> str:
    return str(request.state.correlation)


Correlation = Annotated[str, Depends(_correlation)]
