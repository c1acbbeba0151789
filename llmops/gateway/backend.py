"""A backend as the gateway reaches it: its address, its key, and connections kept for reuse."""

import asyncio
import os
import ssl
from urllib.parse import urlsplit

from llmops.errors import BadInput
from llmops.gateway.connection import BackendError, Connection, Waits
from llmops.gateway.routes import Upstream

MOST_IDLE = 256
"""Connections kept while unused; more are opened whenever they are needed."""


class Backend:
    """One upstream of the routing table. Raises BadInput for an address that is none."""

    def __init__(self, upstream: Upstream, waits: Waits) -> None:
        try:
            parts = urlsplit(upstream.url)
            port = parts.port
        except ValueError as error:
            raise BadInput(f"`{upstream.url}` is no URL of a backend: {error}") from None
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise BadInput(f"`{upstream.url}` is no URL of a backend")
        self.upstream = upstream
        self._waits = waits
        self._tls = parts.scheme == "https" and upstream.uds is None
        self._host = parts.hostname
        self._port = port or (443 if parts.scheme == "https" else 80)
        self._path = parts.path.rstrip("/").removesuffix("/v1")
        self._fixed = _fixed_headers(parts.netloc.rpartition("@")[2], upstream.key_env)
        self._idle: list[Connection] = []
        self._context: ssl.SSLContext | None = None
        self._closed = False

    def __str__(self) -> str:
        return f"unix:{self.upstream.uds}" if self.upstream.uds else self.upstream.url

    async def ask(self, path: str, body: bytes, headers: bytes) -> Connection:
        """POST `body` to `path` (with /v1); returns when the answer's status is known.

        headers: whole lines for this request. A kept connection that the backend closed in the
        meantime, before a byte of an answer, is replaced by a new one. Raises BackendError.
        """
        head = b"POST %b%b HTTP/1.1\r\n%b%bContent-Length: %d\r\n\r\n" % (
            self._path.encode(),
            path.encode(),
            self._fixed,
            headers,
            len(body),
        )
        while self._idle:
            connection = self._idle.pop()
            if not connection.closed:
                try:
                    return await self._exchange(connection, head + body)
                except BackendError as error:
                    if not error.unsent:
                        raise
        return await self._exchange(await self._connect(), head + body)

    def give_back(self, connection: Connection) -> None:
        """After an exchange: keep the connection when it can serve another, close it if not."""
        if connection.finished and not self._closed and len(self._idle) < MOST_IDLE:
            connection.release()
            self._idle.append(connection)
        else:
            connection.abort()

    def close(self) -> None:
        """Close what is unused; exchanges under way go on."""
        self._closed = True
        while self._idle:
            self._idle.pop().abort()

    async def _exchange(self, connection: Connection, request: bytes) -> Connection:
        try:
            connection.send(request)
            await connection.head()
        except BaseException:
            connection.abort()
            raise
        return connection

    async def _connect(self) -> Connection:
        loop = asyncio.get_running_loop()

        def protocol() -> Connection:
            return Connection(loop, self._waits)

        try:
            async with asyncio.timeout(self._waits.connect):
                if self.upstream.uds is not None:
                    made = await loop.create_unix_connection(protocol, self.upstream.uds)
                else:
                    made = await loop.create_connection(
                        protocol, self._host, self._port, ssl=self._secure()
                    )
        except TimeoutError:
            what = f"the backend accepted no connection within {self._waits.connect:g} s"
            raise BackendError("unreachable", what) from None
        except (OSError, ssl.SSLError) as error:
            what = f"the backend cannot be reached: {error.strerror or error}"
            raise BackendError("unreachable", what) from error
        return made[1]

    def _secure(self) -> ssl.SSLContext | None:
        if self._tls and self._context is None:
            self._context = ssl.create_default_context()
        return self._context


def _fixed_headers(host: str, key_env: str | None) -> bytes:
    lines = [f"Host: {host}", "Content-Type: application/json", "Accept: */*"]
    key = os.environ.get(key_env, "") if key_env else ""
    if key_env and not key:
        raise BadInput(f"the backend's key is not set: environment variable {key_env}")
    if key:
        if not key.isascii() or not key.isprintable():
            raise BadInput(f"the backend's key in {key_env} holds what no header may")
        lines.append(f"Authorization: Bearer {key}")
    return "".join(line + "\r\n" for line in lines).encode()
