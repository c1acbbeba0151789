"""Gradio's own scripts and styles, which a page needs seventy of: kept by browsers for good, as
their names change with their content, and on this machine sent as they are, since to compress them
takes longer than to send them.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
App = Callable[[Scope, Any, Any], Awaitable[None]]
_KEPT = (b"cache-control", b"public, max-age=31536000, immutable")


class QuickAssets:
    """loopback: whether the server is bound to this machine alone."""

    def __init__(self, app: App, *, loopback: bool) -> None:
        self.app = app
        self.loopback = loopback

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if self.loopback:
            headers = [one for one in scope["headers"] if one[0].lower() != b"accept-encoding"]
            scope = {**scope, "headers": headers}
        if not scope["path"].startswith("/assets/"):
            await self.app(scope, receive, send)
            return

        async def kept(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start" and message["status"] == 200:
                told = [one for one in message["headers"] if one[0].lower() != _KEPT[0]]
                message = {**message, "headers": [*told, _KEPT]}
            await send(message)

        await self.app(scope, receive, kept)
