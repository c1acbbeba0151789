"""One HTTP/1.1 connection to a backend: a request, its answer as it comes, the next request.

An asyncio protocol over httptools. It knows what a gateway needs and no more: POST with a body
whose length is known, answers with a length, in chunks, or up to the connection's end. No
redirects, no compression (none is asked for), no cookies, no proxies.
"""

import asyncio
from dataclasses import dataclass
from typing import Literal, cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

HIGH_WATER = 256 * 1024
"""Bytes of an answer that wait for a slow client before the backend is made to wait too."""

Problem = Literal["unreachable", "broken", "timeout", "garbage"]
_KEPT = (b"content-type", b"retry-after", b"content-length", b"transfer-encoding")


class BackendError(Exception):
    """Why there is no (whole) answer from a backend. unsent: not a byte of one had come."""

    def __init__(self, problem: Problem, what: str, *, unsent: bool = False) -> None:
        super().__init__(what)
        self.problem: Problem = problem
        self.unsent = unsent


@dataclass(frozen=True)
class Waits:
    """Seconds that a backend may take: to accept a connection, until the first byte of an answer
    (a whole generation, when it is not streamed), and between two pieces of one."""

    connect: float = 5.0
    first: float = 600.0
    between: float = 120.0


class Connection(asyncio.Protocol):
    """`send`, then `head`, then `piece` until None, or `rest`. `finished` says whether the next
    request may use it; after anything else, `abort`. All waiting raises BackendError."""

    def __init__(self, loop: asyncio.AbstractEventLoop, waits: Waits) -> None:
        self._loop = loop
        self._waits = waits
        self._parser = HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._whole = False
        self._keep = False
        self._asked = False
        self.closed = False
        self._begin()

    def _begin(self) -> None:
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self._pieces: list[bytes] = []
        self._size = 0
        self._paused = False
        self._touched = False
        self._complete = False
        self._error: BackendError | None = None
        self._last = 0.0

    # What the gateway calls.

    def send(self, request: bytes) -> None:
        """Ask. The answer before must have been read to its end."""
        self._begin()
        self._asked = True
        assert self._transport is not None
        self._transport.write(request)
        self._last = self._loop.time()
        self._timer = self._loop.call_later(self._waits.first, self._check)

    async def head(self) -> int:
        """The answer's status, once its headers are here."""
        while not self.status:
            self._raise_error()
            await self._wait(whole=False)
        return self.status

    async def piece(self) -> bytes | None:
        """All of the body that has come since the last call; None at its end."""
        while not self._pieces:
            if self._complete:
                return None
            self._raise_error()
            await self._wait(whole=False)
        return self._take()

    async def rest(self, limit: int) -> bytes:
        """The whole body. Raises BackendError for one of more than `limit` bytes."""
        while not self._complete:
            self._raise_error()
            if self._size > limit:
                raise BackendError("garbage", f"the backend's answer is longer than {limit} bytes")
            if self._paused:
                self._resume()
            await self._wait(whole=True)
        return self._take()

    @property
    def finished(self) -> bool:
        """Whether the answer was read to its end and the connection stays open."""
        return self._complete and self._keep and not self.closed and not self._pieces

    def release(self) -> None:
        """The exchange is over; the connection may wait for the next one."""
        self._asked = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def abort(self) -> None:
        """Close at once: a backend that sees this stops generating."""
        self.closed = True
        self.release()
        if self._transport is not None:
            self._transport.abort()

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by class

    def data_received(self, data: bytes) -> None:
        if not self._asked:
            self.abort()  # nobody asked: what comes may not be taken for the next answer
            return
        self._touched = True
        self._last = self._loop.time()
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            self._fail(BackendError("garbage", f"the backend does not speak HTTP: {error}"))
            self.abort()
        if self._size > HIGH_WATER and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()
        self._wake()

    def connection_lost(self, error: Exception | None) -> None:
        self.closed = True
        ends_by_closing = (
            self.status
            and b"content-length" not in self.headers
            and b"transfer-encoding" not in self.headers
        )
        if ends_by_closing and error is None and self._error is None:
            self._complete = True
        elif not self._complete:
            why = f": {error}" if error else ""
            told = "during its answer" if self._touched else "without an answer"
            what = f"the backend closed the connection {told}{why}"
            self._fail(BackendError("broken", what, unsent=not self._touched))
        self._wake()

    # What httptools calls.

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        if name in _KEPT and not self._complete:
            self.headers[name] = value

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if self._complete:
            self._keep = False  # a second answer to one request
        elif status >= 200:
            self.status = status
            self._keep = self._parser.should_keep_alive()

    def on_body(self, body: bytes) -> None:
        if not self._complete:
            self._pieces.append(body)
            self._size += len(body)

    def on_message_complete(self) -> None:
        if self.status:
            self._complete = True
        else:
            self.headers.clear()  # of an interim answer (1xx)

    # Waiting.

    def _take(self) -> bytes:
        pieces, self._pieces, self._size = self._pieces, [], 0
        if self._paused:
            self._resume()
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _resume(self) -> None:
        self._paused = False
        if self._transport is not None and not self.closed:
            self._transport.resume_reading()

    async def _wait(self, *, whole: bool) -> None:
        self._whole = whole
        self._last = self._loop.time()
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is None or waiter.done():
            return
        if self._complete or self._error or self._paused or not self._whole:
            waiter.set_result(None)

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error

    def _fail(self, error: BackendError) -> None:
        if self._error is None:
            self._error = error

    def _check(self) -> None:
        """Whether the backend took too long, and when to look again."""
        limit = self._waits.between if self.status else self._waits.first
        idle = self._loop.time() - self._last
        if self._waiter is not None and idle >= limit - 0.001:
            when = "between two pieces of an answer" if self.status else "before its answer"
            self._fail(BackendError("timeout", f"the backend was silent for {limit:g} s {when}"))
            self._timer = None
            self._wake()
        else:
            left = limit - idle if self._waiter is not None else limit
            self._timer = self._loop.call_later(max(left, 0.001), self._check)
