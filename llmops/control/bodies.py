"""Bodies of requests: JSON, and not larger than any declaration."""

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from llmops.control.problems import Refused, respond

MOST_BYTES = 1 << 20
ANY_TYPE = "/hooks/"
"""Below it bodies are signed bytes, whatever their type."""


class Bodies:
    """ASGI middleware: refuses a body that is too large (413), also one without a length, and one
    that does not say that it is JSON (415), as a form of some page's."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        length = headers.get(b"content-length", b"0")
        if length.isdigit() and int(length) > MOST_BYTES:
            await respond(_too_large())(scope, receive, send)
            return
        has_body = length.strip(b"0") or b"transfer-encoding" in headers
        kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
        if has_body and kind != b"application/json" and not scope["path"].startswith(ANY_TYPE):
            what = "the body must be JSON: `Content-Type: application/json`"
            await respond(Refused(415, "not_json", what))(scope, receive, send)
            return
        await self._app(scope, _counted(receive), send)


def _counted(receive: Receive) -> Receive:
    read = 0

    async def counted() -> Message:
        nonlocal read
        message = await receive()
        read += len(message.get("body", b""))
        if read > MOST_BYTES:
            raise HTTPException(413, _too_large().what)
        return message

    return counted


def _too_large() -> Refused:
    return Refused(413, "too_large", f"the body is larger than {MOST_BYTES >> 20} MiB")
