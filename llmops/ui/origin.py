"""Pages of others: what a browser may send here only from the UI's own page.

Gradio leaves such requests to the browser's same-origin rule, which lets a page of anyone POST to
a server on this machine, without seeing the answer. A request that changes something and says that
it comes from elsewhere is refused; on loopback so is one for another host's name (DNS rebinding).

And what a page of ours may do: it stands in no frame of others, and loads nothing from elsewhere,
so that a text which found a way to be more than text would tell nobody anything.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

Scope = MutableMapping[str, Any]
App = Callable[[Scope, Any, Any], Awaitable[None]]
_POLICY = {
    b"content-security-policy": b"default-src 'self'; script-src 'self' 'unsafe-inline' "
    b"'unsafe-eval'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' "
    b"data:; base-uri 'self'; form-action 'self'; frame-ancestors 'none'; object-src 'none'",
    b"referrer-policy": b"same-origin",
    b"x-content-type-options": b"nosniff",
}
LOOPBACK = ("127.0.0.1", "localhost", "::1")


class OwnPagesOnly:
    """loopback: whether the server is bound to this machine alone."""

    def __init__(self, app: App, *, loopback: bool) -> None:
        self.app = app
        self.loopback = loopback

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and not self._allowed(scope):
            await _refuse(send)
            return

        async def guarded(message: Scope) -> None:
            if message["type"] == "http.response.start":
                own = {key.lower() for key, _ in message.get("headers", ())}
                more = [one for one in _POLICY.items() if one[0] not in own]
                message = {**message, "headers": [*message.get("headers", ()), *more]}
            await send(message)

        await self.app(scope, receive, guarded)

    def _allowed(self, scope: Scope) -> bool:
        headers = {key.lower(): value.decode("latin-1") for key, value in scope["headers"]}
        host = headers.get(b"host", "")
        if self.loopback and _name(host) not in LOOPBACK:
            return False
        if scope["method"] in ("GET", "HEAD", "OPTIONS"):
            return True
        origin = headers.get(b"origin")
        return origin is None or urlsplit(origin).netloc == host


def _name(host: str) -> str:
    """A host without its port and brackets."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


async def _refuse(send: Any) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": b"only the UI's own pages may ask this\n"})
