"""The gateway as a plain ASGI application: which path is answered by what.

    app = App(options); uvicorn runs it (server.py), or any ASGI server with lifespan support.

It authenticates, reads bodies and turns refusals into OpenAI's error shape; what is answered is
the other modules' part.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from llmops.errors import LlmopsError
from llmops.feedback import keys
from llmops.gateway import catalogue
from llmops.gateway.answers import answer
from llmops.gateway.call import Call, ClientGone
from llmops.gateway.gateway import Gateway, open_gateway
from llmops.gateway.options import Options
from llmops.gateway.problems import LOG
from llmops.gateway.ratings import rate
from llmops.gateway.replies import Receive, Refused, Reply, Scope, Send, json_reply, send_reply
from llmops.gateway.request import Endpoint, parse_json

Handler = Callable[[Gateway, Call], Awaitable[None]]
_MODELS = "/v1/models/"
_END_SECONDS = 1.0
"""What requests that were cut off get to write their records."""


@dataclass(frozen=True, slots=True)
class Route:
    """scope: what an API key must allow; None for what needs none."""

    method: str
    scope: keys.Scope | None
    handler: Handler


class App:
    """One gateway. `gateway` is there between start-up and shutdown."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._gateway: Gateway | None = None
        self._running: set[asyncio.Task[Any]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        assert scope["type"] == "http", "the server speaks HTTP only"
        assert self._gateway is not None, "the server runs the lifespan"
        call = Call(scope, receive, send)
        task = asyncio.current_task()
        assert task is not None, "the server runs each request in a task"
        self._running.add(task)
        try:
            await self._answer(self._gateway, call)
        except Refused as refused:
            await self._refuse(self._gateway, call, refused)
        except ClientGone:
            return
        except Exception:
            LOG.exception("a defect, at %s", scope["path"])
            if call.started:
                raise  # the server closes the connection: no answer may look whole
            await self._refuse(self._gateway, call, Refused(500, "The gateway has a defect"))
        finally:
            self._running.discard(task)

    async def _answer(self, gateway: Gateway, call: Call) -> None:
        path, method = call.scope["path"], call.scope["method"]
        route = ROUTES.get(path) or (_ONE_MODEL if path.startswith(_MODELS) else None)
        if route is None:
            raise Refused(404, f"There is no {path[:200]} here", code="unknown_url")
        if method != route.method and not (method == "HEAD" and route.method == "GET"):
            allowed = ((b"allow", route.method.encode()),)
            raise Refused(405, f"{path} takes {route.method}", headers=allowed)
        if route.scope is not None:
            gateway.access.check(call.headers, route.scope)
        await route.handler(gateway, call)

    async def _refuse(self, gateway: Gateway, call: Call, refused: Refused) -> None:
        gateway.metrics.refused.add((str(refused.status),))
        await send_reply(call.send, refused.reply())

    async def _live(self, receive: Receive, send: Send) -> None:
        """Start-up and shutdown, as the server tells them."""
        await receive()
        try:
            self._gateway = gateway = open_gateway(self._options)
        except LlmopsError as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        following = asyncio.create_task(gateway.table.follow())
        await send({"type": "lifespan.startup.complete"})
        await receive()
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        gateway.table.close()
        if self._running:  # the drain's time is over: they end, but each owes its record yet
            await asyncio.wait(self._running, timeout=_END_SECONDS)
        await gateway.journal.close()
        await send({"type": "lifespan.shutdown.complete"})


def _asks(endpoint: Endpoint) -> Handler:
    async def handler(gateway: Gateway, call: Call) -> None:
        await answer(gateway, call, endpoint, await _json(gateway, call))

    return handler


async def _predict(gateway: Gateway, call: Call) -> None:
    """A chat, or only what the user says: `prompt` or `input`."""
    body = await _json(gateway, call)
    if isinstance(body, dict) and "messages" not in body:
        said = body.pop("prompt", None) or body.pop("input", None)
        if not isinstance(said, str):
            raise Refused(400, "Give `messages`, or a text as `prompt` or `input`", param="prompt")
        body["messages"] = [{"role": "user", "content": said}]
    await answer(gateway, call, "chat", body)


async def _rate(gateway: Gateway, call: Call) -> None:
    reply = await rate(gateway, call.headers, await _json(gateway, call))
    await send_reply(call.send, reply)


async def _healthy(gateway: Gateway, call: Call) -> None:
    await send_reply(call.send, json_reply({"status": "ok"}))


async def _model(gateway: Gateway, call: Call) -> None:
    name = call.scope["path"].removeprefix(_MODELS)
    await send_reply(call.send, catalogue.model(gateway, name))


def _shows(reply: Callable[[Gateway], Reply]) -> Handler:
    async def handler(gateway: Gateway, call: Call) -> None:
        await send_reply(call.send, reply(gateway))

    return handler


async def _json(gateway: Gateway, call: Call) -> Any:
    return parse_json(await call.body(gateway.options.body_limit))


_ONE_MODEL = Route("GET", "chat", _model)
ROUTES: dict[str, Route] = {
    "/v1/chat/completions": Route("POST", "chat", _asks("chat")),
    "/v1/completions": Route("POST", "chat", _asks("completions")),
    "/predict": Route("POST", "chat", _predict),
    "/v1/models": Route("GET", "chat", _shows(catalogue.models)),
    "/models": Route("GET", "chat", _shows(catalogue.models)),
    "/v1/feedback": Route("POST", None, _rate),
    "/feedback": Route("POST", None, _rate),
    "/v1/experiments": Route("GET", "admin", _shows(catalogue.experiments)),
    "/metrics": Route("GET", "admin", _shows(catalogue.metrics)),
    "/healthz": Route("GET", None, _healthy),
    "/readyz": Route("GET", None, _shows(catalogue.ready)),
}
