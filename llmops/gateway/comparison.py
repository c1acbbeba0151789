"""Two answers to one request, side by side and blind: for `side_by_side: true`.

Both versions are asked at once. What comes back is one answer of the deployment with two choices
in random order, and the inference ids with which to say which one is better.
"""

import asyncio
import secrets
import time
from typing import Any

import orjson

from llmops.gateway.call import Call, Watch, part, start
from llmops.gateway.exchange import Exchange
from llmops.gateway.exposure import Exposure, expose_two
from llmops.gateway.gateway import Gateway
from llmops.gateway.replies import EVENT_STREAM, Headers, Refused, Reply, error_event, send_reply
from llmops.gateway.request import Request, answer_id
from llmops.gateway.streams import DONE, Guise
from llmops.gateway.table import Routing
from llmops.gateway.transcript import Transcript

_OBJECTS = {"chat": "chat.completion", "completions": "text_completion"}
_OTHER_FAILED = "the other answer of the comparison failed"
_WAITING = 64
"""Pieces that wait for a slow client before both backends wait too."""


async def compare(gateway: Gateway, routing: Routing, call: Call, request: Request) -> None:
    """Answer with two choices. Raises Refused."""
    if request.body.get("n") not in (None, 1):
        raise Refused(400, "`side_by_side` gives two answers and takes no `n`", param="n")
    group = gateway.identity.new_group(routing.deployment)
    swapped = bool(secrets.randbits(1))
    exposures = expose_two(routing, request, gateway.identity, group, swapped=swapped)
    comparison = Comparison(gateway, request, group, exposures)
    watch = Watch(call)
    try:
        await (comparison.stream(call, watch) if request.stream else comparison.whole(call, watch))
    except asyncio.CancelledError:
        comparison.abandon(*call.cut_off(gone=watch.gone))
        comparison.close()  # a client that reads no more must not hold the records back
        if not watch.gone:
            await call.tell_stopped()
    finally:
        watch.close()
        comparison.close()


class Comparison:
    """The two exchanges of one comparison, in the order in which they are shown."""

    def __init__(
        self, gateway: Gateway, request: Request, group: str, exposures: tuple[Exposure, Exposure]
    ) -> None:
        self._request = request
        self._id = answer_id(request, group)
        self._model = gateway.options.deployment
        self._told = {"group": group, "inference_ids": [e.id for e in exposures]}
        self._headers: Headers = ((b"x-request-id", group.encode()),)
        first = {"side_by_side": self._told}
        self._exchanges = [
            Exchange(gateway, request, e, Guise(self._id, self._model, position, first))
            for position, e in enumerate(exposures)
        ]

    async def whole(self, call: Call, watch: Watch) -> None:
        replies = await asyncio.gather(*(exchange.whole() for exchange in self._exchanges))
        watch.stop()
        failed = [reply for reply in replies if reply.status != 200]
        if failed:
            self.abandon(_OTHER_FAILED, failed[0].status)
        await asyncio.gather(*(exchange.keep() for exchange in self._exchanges))
        reply = failed[0] if failed else Reply(200, self._merged([r.body for r in replies]))
        await send_reply(call.send, reply, self._headers)

    async def stream(self, call: Call, watch: Watch) -> None:
        refused = [r for r in await asyncio.gather(*(e.open() for e in self._exchanges)) if r]
        if refused:
            watch.stop()
            self.abandon(_OTHER_FAILED, refused[0].status)
            await asyncio.gather(*(exchange.keep() for exchange in self._exchanges))
            await send_reply(call.send, refused[0], self._headers)
            return
        await call.send(start(200, [*EVENT_STREAM, *self._headers]))
        pieces: asyncio.Queue[bytes | None] = asyncio.Queue(_WAITING)
        feeder = asyncio.ensure_future(self._feed(pieces))
        try:
            while (piece := await pieces.get()) is not None:
                await call.send(part(piece))
            watch.stop()
            await call.send(part(await feeder, more=False))
        finally:
            feeder.cancel()
            while not pieces.empty():  # or the feeder's last word waits for room for ever
                pieces.get_nowait()
            await asyncio.gather(feeder, return_exceptions=True)

    def abandon(self, why: str, status: int | None) -> None:
        for exchange in self._exchanges:
            if not exchange.kept:
                exchange.abandon(why, status)

    def close(self) -> None:
        for exchange in self._exchanges:
            exchange.close()

    async def _feed(self, pieces: "asyncio.Queue[bytes | None]") -> bytes:
        """Both streams as they come; returns what both end with."""
        try:
            async with asyncio.TaskGroup() as group:
                for exchange in self._exchanges:
                    group.create_task(_pump(exchange, pieces))
            return self._usage() + DONE
        except* Refused as failures:
            self.abandon(_OTHER_FAILED, None)
            first = failures.exceptions[0]
            assert isinstance(first, Refused)
            event = error_event(first.status, first.message, code=first.code)
        finally:
            await pieces.put(None)
        return event

    def _merged(self, bodies: list[bytes]) -> bytes:
        choices = []
        for index, body in enumerate(bodies):
            choices.append({**orjson.loads(body)["choices"][0], "index": index})
        return orjson.dumps(
            {
                "id": self._id,
                "object": _OBJECTS[self._request.endpoint],
                "created": int(time.time()),
                "model": self._model,
                "choices": choices,
                "usage": self._tokens(),
                "side_by_side": self._told,
            }
        )

    def _usage(self) -> bytes:
        """The chunk that tells the tokens, when the client asked for it."""
        if not self._request.wants_usage:
            return b""
        kind = "chat.completion.chunk" if self._request.endpoint == "chat" else "text_completion"
        chunk = {
            "id": self._id,
            "object": kind,
            "created": int(time.time()),
            "model": self._model,
            "choices": [],
            "usage": self._tokens(),
        }
        return b"data: " + orjson.dumps(chunk) + b"\n\n"

    def _tokens(self) -> dict[str, Any]:
        """Of both answers together."""
        transcripts: list[Transcript] = [exchange.transcript for exchange in self._exchanges]
        prompt = sum(t.prompt_tokens or 0 for t in transcripts)
        completion = sum(t.completion_tokens or 0 for t in transcripts)
        return {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
        }


async def _pump(exchange: Exchange, pieces: "asyncio.Queue[bytes | None]") -> None:
    """One stream, its end only once its record is kept. Raises Refused when it went wrong."""
    while (piece := await exchange.next()) is not None:
        if piece:
            await pieces.put(piece)
    await exchange.keep()
    if exchange.error is not None:
        raise Refused(exchange.failed, exchange.error, code=f"backend_{exchange.reason}")
    assert exchange.relay is not None
    if exchange.relay.held:
        await pieces.put(b"".join(exchange.relay.held))
