"""What a page in somebody's browser may do: nothing.

A browser on this machine reaches loopback, and every page that it shows can send requests there.
Such requests are refused: by the `Host` that they name (a page whose own name was pointed to this
machine, DNS rebinding), and by the `Origin` that browsers add to whatever changes something.
Clients that are no browsers send no `Origin`. Nothing here is answered with CORS headers, so no
page reads an answer either.
"""

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from llmops.control.problems import Refused, respond
from llmops.spec.deployment import is_loopback

_HOST = re.compile(r"(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+)(?::[0-9]{1,5})?")
_READING = ("GET", "HEAD", "OPTIONS")


class Browsers:
    """ASGI middleware. private: it listens at loopback, so that only this machine's names for
    itself can be meant."""

    def __init__(self, app: ASGIApp, *, private: bool) -> None:
        self._app = app
        self._private = private

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            refused = self._refusal(scope["method"], _headers(scope))
            if refused is not None:
                await respond(refused)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _refusal(self, method: str, headers: Mapping[str, str]) -> Refused | None:
        host = headers.get("host", "")
        if self._private and not is_own(host):
            return Refused(
                421,
                "wrong_host",
                "this API answers under 127.0.0.1 and localhost only",
                fix="ask it under the address that `llmops control` printed",
            )
        if method in _READING:
            return None
        origin = headers.get("origin")
        site = headers.get("sec-fetch-site", "none")
        if site in ("cross-site", "same-site") or (
            origin is not None and urlsplit(origin).netloc != host
        ):
            return Refused(
                403, "foreign_page", "a page from elsewhere may not change anything here"
            )
        return None


def is_own(host: str) -> bool:
    """Whether a `Host` header names this machine's loopback, with any port."""
    match = _HOST.fullmatch(host)
    return match is not None and is_loopback(match[1].lower())


def _headers(scope: Scope) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
