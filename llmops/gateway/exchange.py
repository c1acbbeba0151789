"""One version asked once: from the choice of a variant to the record in the journal.

An exchange ends in exactly one record, whatever happened: an answer, the backend's error, silence,
a broken stream, a client that went away.
"""

import asyncio
import time
from typing import Any

import orjson

from llmops.gateway.connection import BackendError, Connection
from llmops.gateway.exposure import Exposure
from llmops.gateway.gateway import Gateway
from llmops.gateway.record import Course, inference_line
from llmops.gateway.replies import (
    JSON,
    RETRY_SECONDS,
    Refused,
    Reply,
    error_body,
    error_event,
    error_message,
)
from llmops.gateway.request import PATHS, Request, answer_id
from llmops.gateway.streams import BadEvent, Guise, Relay
from llmops.gateway.transcript import Transcript

ANSWER_LIMIT = 256 << 20
# vLLM's API server outlives its engine for a moment (vllm/v1/engine/exceptions.py): to a client
# that is a backend on its way back, not a fault of its request.
_ENGINE_DEAD = b"EngineCore encountered an issue"
STATUS = {"unreachable": 503, "broken": 503, "timeout": 504, "garbage": 502}
_AFTER_DONE = 1.0
"""Seconds that a backend gets to end its stream after `[DONE]`; then its connection is closed."""


class Exchange:
    """`whole`, or `open` and then `next` until None; then `keep`; `close` in any case.

    status, error: what the record will say. A stream that goes wrong keeps the status that it
    began with; `failed` is the one that it would have had.
    """

    def __init__(
        self, gateway: Gateway, request: Request, exposure: Exposure, guise: Guise | None = None
    ) -> None:
        """Raises Refused for a body that cannot be passed on."""
        self.exposure = exposure
        self.status = 200
        self.error: str | None = None
        self.reason = ""
        self.failed = 200
        self.guise = guise or Guise(answer_id(request, exposure.id), exposure.choice.version)
        self.transcript = Transcript()
        self.relay: Relay | None = None
        self._gateway = gateway
        self._request = request
        self._connection: Connection | None = None
        self._first: float | None = None
        self._ended: float | None = None
        self.kept = self._closed = False
        self._body = request.upstream_body(exposure.choice.model)
        gateway.metrics.in_flight.add((exposure.choice.version,))

    async def whole(self) -> Reply:
        """The answer, or the error in its place."""
        try:
            connection = await self._ask()
            raw = await connection.rest(ANSWER_LIMIT)
        except BackendError as error:
            return self._failed(error)
        self._ended = time.monotonic()
        self._return(connection)
        if connection.status != 200:
            return self._refused(connection, raw)
        return self._answer(raw)

    async def open(self) -> Reply | None:
        """Ask for a stream. None when it has begun, else the error in its place."""
        try:
            connection = await self._ask()
            kind = connection.headers.get(b"content-type", b"")
            if connection.status == 200 and kind.startswith(b"text/event-stream"):
                self.relay = Relay(
                    self.guise,
                    self.transcript,
                    hold=self.exposure.required,
                    usage=self._request.wants_usage and self.guise.index is None,
                )
                return None
            raw = await connection.rest(ANSWER_LIMIT)
        except BackendError as error:
            return self._failed(error)
        self._return(connection)
        if connection.status != 200:
            return self._refused(connection, raw)
        return self._bad(f"the backend answered with no stream: {_error_in(raw)}")

    async def next(self) -> bytes | None:
        """What may go on to the client now; None when the stream has ended. Sets `error`."""
        relay, connection = self.relay, self._connection
        assert relay is not None
        if connection is None:
            return None
        try:
            piece = await connection.piece()
            if piece is not None:
                out = relay.feed(piece)
                if self._first is None and self.transcript.has_text:
                    self._first = time.monotonic()
                if relay.done:
                    await self._after_done(connection)
                return out
            if self.transcript.problem is not None:
                raise BadEvent(self.transcript.problem)
        except BackendError as error:
            self._failed(error)
            return None
        except BadEvent as error:
            self._bad(str(error))
            return relay.left or None
        self._ended = time.monotonic()
        self._return(connection)
        return None

    async def keep(self) -> None:
        """Have the record on disk, as far as the deployment asks. Raises Refused."""
        self.kept = True
        try:
            await self._gateway.keep(self._record(), required=self.exposure.required)
        except Refused as refused:
            self.status, self.error, self.reason = 503, refused.message, "journal"
            raise

    async def last(self) -> bytes:
        """`keep`, and then what a stream ends with: what was held, or an error event."""
        try:
            await self.keep()
        except Refused as refused:
            return error_event(refused.status, refused.message, code=refused.code)
        if self.error is not None:
            return error_event(self.failed, _sentence(self.error), code=f"backend_{self.reason}")
        assert self.relay is not None
        return b"".join(self.relay.held)

    def abandon(self, why: str, status: int | None) -> None:
        """Its answer will not be given; what went wrong before stays. status: what the client gets
        instead; None when its answer has begun."""
        if self.error is not None:
            return
        self.error, self.reason = why, "abandoned"
        if status is not None:
            self.status = status

    def close(self) -> None:
        """End what is still under way, and count it. May be called again."""
        if self._closed:
            return
        self._closed = True
        if self._connection is not None:
            self._connection.abort()
            self._connection = None
        if not self.kept:
            self.kept = True
            self._gateway.journal.append_soon(self._record())
        self._count()

    async def _ask(self) -> Connection:
        choice = self.exposure.choice
        headers = b"X-Request-Id: %b\r\n%b" % (self.exposure.id.encode(), self._request.trace)
        path = PATHS[self._request.endpoint]
        self._connection = await choice.backend.ask(path, self._body, headers)
        return self._connection

    async def _after_done(self, connection: Connection) -> None:
        """Read the end of the exchange, so that the connection can be used again."""
        self._ended = time.monotonic()
        try:
            async with asyncio.timeout(_AFTER_DONE):
                while await connection.piece() is not None:
                    continue
        except (TimeoutError, BackendError):
            connection.abort()
        self._return(connection)

    def _return(self, connection: Connection) -> None:
        self._connection = None
        self.exposure.choice.backend.give_back(connection)
        self._gateway.problems.over(self._where)

    @property
    def _where(self) -> str:
        return f"the backend {self.exposure.choice.backend}"

    def _tell(self, what: str) -> None:
        told = f"{self._where}, asked for {self.exposure.choice.version}: {what}"
        self._gateway.problems.tell(self._where, told)

    def _failed(self, error: BackendError) -> Reply:
        """The backend gave no answer, or only a part of one."""
        self._tell(str(error))
        return self._lost(STATUS[error.problem], str(error), error.problem)

    def _bad(self, what: str) -> Reply:
        """The backend's answer is none."""
        self._tell(what)
        return self._lost(502, what, "garbage")

    def _lost(self, status: int, what: str, reason: str) -> Reply:
        if self._connection is not None:
            self._connection.abort()
            self._connection = None
        if self.relay is None:
            self.status = status
        self.failed, self.error, self.reason = status, what, reason
        retry = ((b"retry-after", b"%d" % RETRY_SECONDS),) if status == 503 else ()
        body = error_body(status, _sentence(what), code=f"backend_{reason}")
        return Reply(status, body, (JSON, *retry))

    def _refused(self, connection: Connection, raw: bytes) -> Reply:
        """The backend's own error, in OpenAI's shape whichever it came in."""
        if connection.status == 500 and _ENGINE_DEAD in raw:
            return self._failed(BackendError("unreachable", "the backend's engine has ended"))
        status = connection.status if connection.status >= 400 else 502
        found = _parsed(raw)
        self.status, self.reason = status, "refused"
        self.error = error_message(found) or f"the backend answered {connection.status}"
        body = raw
        if not isinstance(found, dict) or not isinstance(found.get("error"), dict):
            body = error_body(status, self.error)
        after = connection.headers.get(b"retry-after")
        return Reply(status, body, (JSON, (b"retry-after", after)) if after else (JSON,))

    def _answer(self, raw: bytes) -> Reply:
        answer = _parsed(raw)
        if not isinstance(answer, dict):
            return self._bad("the backend's answer is no JSON object")
        if answer.get("error") or answer.get("object") == "error":
            return self._bad(f"the backend's answer is an error: {error_message(answer)}")
        self.transcript.take(answer, "message")
        problem = self.transcript.problem
        if problem is not None:
            return self._bad(problem)
        if answer.get("id") != self.guise.id or answer.get("model") != self.guise.model:
            answer["id"], answer["model"] = self.guise.id, self.guise.model
            raw = orjson.dumps(answer)
        return Reply(200, raw)

    def _record(self) -> bytes:
        return inference_line(
            self._gateway.options.deployment,
            self._request,
            self.exposure,
            self.transcript,
            Course(
                status=self.status,
                error=self.error,
                first_token_ms=self._milliseconds(self._first),
                total_ms=self._milliseconds(self._ended or time.monotonic()) or 0.0,
            ),
        )

    def _milliseconds(self, then: float | None) -> float | None:
        return None if then is None else round((then - self._request.began) * 1000, 3)

    def _count(self) -> None:
        metrics, choice, transcript = self._gateway.metrics, self.exposure.choice, self.transcript
        who = (choice.variant, choice.version)
        metrics.in_flight.add((choice.version,), -1)
        metrics.requests.add((*who, self._request.endpoint, str(self.status)))
        if self.error is not None:
            metrics.errors.add((*who, self.reason))
        if self._first is not None:
            metrics.first.observe(who, self._first - self._request.began)
        metrics.total.observe(who, (self._ended or time.monotonic()) - self._request.began)
        for kind, count in (
            ("prompt", transcript.prompt_tokens),
            ("completion", transcript.completion_tokens),
        ):
            if count:
                metrics.tokens.add((*who, kind), count)


def _parsed(raw: bytes) -> Any:
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None


def _error_in(raw: bytes) -> str:
    return error_message(_parsed(raw)) or f"{len(raw)} bytes"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
