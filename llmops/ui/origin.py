"""Pages of others: what a browser may send here only from the UI's own page.

Gradio leaves such requests to the browser's same-origin rule, which lets a page of anyone POST to
a server on this machine, without seeing the answer. A request that changes something and says that
it comes from elsewhere is refused; on loopback so is one for another host's name (DNS rebinding).
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

Scope = MutableMapping[str, Any]
App = Callable[[Scope, Any, Any], Awaitable[None]]
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
        await self.app(scope, receive, send)

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
