"""One HTTP request to the gateway: its headers, its body, its client, who may go away."""

import asyncio
from typing import Any

from llmops.gateway.replies import (
    Message,
    Receive,
    Refused,
    Scope,
    Send,
    error_event,
    send_reply,
)

CLIENT_GONE = 499


class Call:
    """headers: by lower-case name; of one that is repeated, the last."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self.receive = receive
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self.started = False
        self._send = send

    async def send(self, message: Message) -> None:
        self.started = True
        await self._send(message)

    async def body(self, limit: int) -> bytes:
        """The whole body. Raises Refused (413, 415), and ClientGone."""
        length = self.headers.get(b"content-length", b"0")
        if length.isdigit() and int(length) > limit:
            raise _too_large(limit)
        if self.headers.get(b"content-encoding", b"identity") != b"identity":
            raise Refused(415, "The body must not be compressed")
        pieces: list[bytes] = []
        size = 0
        while True:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            piece = message.get("body", b"")
            size += len(piece)
            if size > limit:
                raise _too_large(limit)
            pieces.append(piece)
            if not message.get("more_body"):
                return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def cut_off(self, *, gone: bool) -> tuple[str, int | None]:
        """Why there is no whole answer when its task was cancelled, and the status to record: None
        once the client has one. gone: whether the client is; else the gateway was stopped."""
        why = "client disconnected" if gone else "the gateway was stopped"
        status = CLIENT_GONE if gone else 503
        return why, None if self.started else status

    async def tell_stopped(self) -> None:
        """To a client that still waits for its answer when the time for that is over."""
        what = "The gateway was stopped before the answer was whole"
        if not self.started:
            await send_reply(self.send, Refused(503, what, code="gateway_stopped").reply())
        else:
            event = error_event(503, what, code="gateway_stopped")
            await self.send(part(event, more=False))


class ClientGone(Exception):
    """The client closed its connection before it had sent its request."""


class Watch:
    """Cancels the task that made it when the client goes away. gone: whether it did."""

    def __init__(self, call: Call) -> None:
        self.gone = False
        self._watching = True
        self._call = call
        self._task = asyncio.current_task()
        self._listener = asyncio.ensure_future(self._listen())

    def stop(self) -> None:
        """From now on the client may go as it likes."""
        self._watching = False

    def close(self) -> None:
        """The listener ends by itself, with the response or the connection. Cancelled, it would
        leave an exception whose traceback holds the whole request in a cycle, for the collector
        to find: pauses of 5 to 30 ms at 1,000 requests/s."""
        self._watching = False
        self._task = None

    async def _listen(self) -> None:
        while (await self._call.receive())["type"] != "http.disconnect":
            continue
        if self._watching and self._task is not None:
            self.gone = True
            self._task.cancel()


def _too_large(limit: int) -> Refused:
    return Refused(413, f"The body is larger than {limit} bytes", code="body_too_large")


def start(status: int, headers: list[tuple[bytes, bytes]]) -> dict[str, Any]:
    return {"type": "http.response.start", "status": status, "headers": headers}


def part(body: bytes, *, more: bool = True) -> dict[str, Any]:
    return {"type": "http.response.body", "body": body, "more_body": more}
