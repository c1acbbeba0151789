"""An answer of one version, whole or streamed, from the client's request to its last byte."""

import asyncio
from typing import Any

from llmops.gateway.call import Call, Watch, part, start
from llmops.gateway.comparison import compare
from llmops.gateway.exchange import Exchange
from llmops.gateway.exposure import expose
from llmops.gateway.gateway import Gateway
from llmops.gateway.replies import EVENT_STREAM, Headers, send_reply
from llmops.gateway.request import Endpoint, parse_request


async def answer(gateway: Gateway, call: Call, endpoint: Endpoint, body: Any) -> None:
    """Answer a request. Raises Refused for what is answered with an error instead."""
    request = parse_request(endpoint, body, call.headers, gateway.identity)
    routing = gateway.table.require()
    if request.side_by_side:
        await compare(gateway, routing, call, request)
        return
    exchange = Exchange(gateway, request, expose(routing, request, gateway.identity))
    watch = Watch(call)
    try:
        if request.stream:
            await _stream(exchange, call, watch)
        else:
            await _whole(exchange, call, watch)
    except asyncio.CancelledError:
        exchange.abandon(*call.cut_off(gone=watch.gone))
        exchange.close()  # a client that reads no more must not hold the record back
        if not watch.gone:
            await call.tell_stopped()
    finally:
        watch.close()
        exchange.close()


async def _whole(exchange: Exchange, call: Call, watch: Watch) -> None:
    reply = await exchange.whole()
    watch.stop()
    await exchange.keep()
    await send_reply(call.send, reply, _id_header(exchange))


async def _stream(exchange: Exchange, call: Call, watch: Watch) -> None:
    refused = await exchange.open()
    if refused is not None:
        watch.stop()
        await exchange.keep()
        await send_reply(call.send, refused, _id_header(exchange))
        return
    await call.send(start(200, [*EVENT_STREAM, *_id_header(exchange)]))
    while (piece := await exchange.next()) is not None:
        if piece:
            await call.send(part(piece))
    watch.stop()
    await call.send(part(await exchange.last(), more=False))


def _id_header(exchange: Exchange) -> Headers:
    return ((b"x-request-id", exchange.exposure.id.encode()),)
