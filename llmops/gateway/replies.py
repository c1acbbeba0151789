"""What a client gets back: whole replies, and errors in the shape of OpenAI's protocol."""

from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

import orjson

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = tuple[tuple[bytes, bytes], ...]

JSON = (b"content-type", b"application/json")
EVENT_STREAM = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
)
RETRY_SECONDS = 1
"""What `Retry-After` asks for; a backend that starts again may need it several times."""

_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole reply. headers: besides content-length."""

    status: int
    body: bytes
    headers: Headers = (JSON,)


class Refused(Exception):
    """A request that is answered with an error; OpenAI's `code` and `param` where they help."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        headers: Headers = (),
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.param = param
        self.headers = headers

    def reply(self) -> Reply:
        headers = (JSON, *self.headers)
        if self.status == 503:
            headers = (*headers, (b"retry-after", b"%d" % RETRY_SECONDS))
        body = error_body(self.status, self.message, code=self.code, param=self.param)
        return Reply(self.status, body, headers)


def error_body(
    status: int, message: str, *, code: str | None = None, param: str | None = None
) -> bytes:
    """OpenAI's error object. Its `type` follows from the status."""
    kind = _TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
    error = {"message": message, "type": kind, "param": param, "code": code}
    return orjson.dumps({"error": error})


def error_event(status: int, message: str, *, code: str | None = None) -> bytes:
    """The same as a server-sent event: how a stream that went wrong ends."""
    return b"data: " + error_body(status, message, code=code) + b"\n\n"


def error_message(body: Any) -> str:
    """The message of an error in any of the shapes that OpenAI-compatible servers send."""
    for key in ("error", "message", "detail"):
        value = body.get(key) if isinstance(body, dict) else None
        if isinstance(value, dict):
            value = value.get("message") or value
        if value:
            return value if isinstance(value, str) else orjson.dumps(value).decode()
    return ""


def json_reply(value: Any, status: int = 200) -> Reply:
    return Reply(status, orjson.dumps(value))


async def send_reply(send: Send, reply: Reply, more: Headers = ()) -> None:
    """Send a whole reply. more: headers besides its own."""
    length = (b"content-length", b"%d" % len(reply.body))
    headers = [*reply.headers, *more, length]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})
