"""Gradio's own scripts and styles, which a page needs seventy of: kept by browsers for good, as
their addresses change with their content, and in memory once they were asked for, since finding a
file takes longer than sending it. On this machine they are sent as they are, for the same reason.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
App = Callable[[Scope, Any, Any], Awaitable[None]]
_KEPT = (b"cache-control", b"public, max-age=31536000, immutable")
_ENCODINGS = (b"br", b"gzip")


class QuickAssets:
    """loopback: whether the server is bound to this machine alone."""

    def __init__(self, app: App, *, loopback: bool) -> None:
        self.app = app
        self.loopback = loopback
        self._known: dict[tuple[str, bytes], list[dict[str, Any]]] = {}

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        for_good, encoding = _for_good(scope), b"" if self.loopback else _encoding(scope)
        if self.loopback or for_good:
            # Whatever part or state of a file is asked for: what is remembered is the whole of it.
            left = (b"accept-encoding", *((b"range", b"if-none-match") if for_good else ()))
            headers = [one for one in scope["headers"] if one[0].lower() not in left]
            scope = {**scope, "headers": [*headers, (b"accept-encoding", encoding)]}
        if not for_good:
            await self.app(scope, receive, send)
            return
        name = (scope["path"], encoding)
        found = self._known.get(name) or await self._ask(scope, receive)
        if found[0]["status"] == 200:
            self._known[name] = found
        for message in found:
            await send(message)

    async def _ask(self, scope: Scope, receive: Any) -> list[dict[str, Any]]:
        """What Gradio answers, in two messages."""
        told: list[MutableMapping[str, Any]] = []

        async def tell(message: MutableMapping[str, Any]) -> None:
            told.append(message)

        await self.app(scope, receive, tell)
        headers = told[0]["headers"]
        if told[0]["status"] == 200:
            headers = [*(one for one in headers if one[0].lower() != _KEPT[0]), _KEPT]
        body = b"".join(one.get("body", b"") for one in told[1:])
        return [{**told[0], "headers": headers}, {"type": "http.response.body", "body": body}]


def _for_good(scope: Scope) -> bool:
    """Whether it is one of the files: each has one name, so there are only so many to remember."""
    path, query = str(scope["path"]), bytes(scope["query_string"])
    if scope["method"] != "GET":
        return False
    return path.rpartition("/")[0] == "/assets" or (path, query[:2]) == ("/theme.css", b"v=")


def _encoding(scope: Scope) -> bytes:
    """The best way to compress that a browser takes."""
    said = b",".join(value for key, value in scope["headers"] if key.lower() == b"accept-encoding")
    return next((one for one in _ENCODINGS if one in said), b"")
