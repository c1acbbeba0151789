"""A gateway as a chat needs it: its models, answers as they come, and feedback on them.

OpenAI's protocol (docs/gateway.md, docs/rating.md). Errors in its shape become Problems.
"""

import json
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from llmops.ui.client import READ_SECONDS, Api, Problem, unreachable

SILENCE_SECONDS = 600.0
"""How long an answer may take to go on; the gateway gives up before."""
EVENT_BYTES = 4 << 20
_FIXES = {
    0: "ask again",
    401: "log in with an API key that has the scope `chat`",
    403: "log in with an API key that has the scope `chat`",
    503: "try again in a moment",
    504: "try again",
}


@dataclass(frozen=True)
class Model:
    """A name that may be asked. kind: deployment, variant or version; version: that answers, None
    for the deployment, whose traffic is split."""

    name: str
    kind: str
    version: str | None


@dataclass(frozen=True)
class Piece:
    """What one event of an answer brought. index: of which of the answers; ids: of all of them,
    once they are told; tokens: of all together, at the end."""

    index: int = 0
    text: str = ""
    model: str = ""
    ids: tuple[str, ...] = ()
    finished: str = ""
    tokens: int | None = None


class Gateway:
    """The gateway at a URL, as one person uses it."""

    def __init__(self, api: Api, url: str) -> None:
        self.url = url.rstrip("/")
        self._api = api

    async def models(self) -> list[Model]:
        """Every name that may be asked. Raises Problem."""
        found = await self._ask("GET", "/v1/models")
        return [_model(one) for one in found.get("data") or [] if isinstance(one, dict)]

    async def rate(self, event: Mapping[str, Any]) -> None:
        """Send one feedback event, once more if the connection broke: its `event_id` makes it
        count once. Raises Problem."""
        body = {"event_id": uuid.uuid4().hex, **event}
        try:
            await self._ask("POST", "/v1/feedback", json=body)
        except Problem as problem:
            if problem.code not in ("broken", "slow"):
                raise
            await self._ask("POST", "/v1/feedback", json=body)

    async def answers(self, body: Mapping[str, Any], session: str) -> AsyncGenerator[Piece]:
        """Ask, and get what is answered as it comes. body: of a chat completion; session: a name
        for who asks. Raises Problem; leaving the loop ends the work at the backend."""
        asked = {**body, "stream": True, "stream_options": {"include_usage": True}}
        timeout = httpx.Timeout(READ_SECONDS, read=SILENCE_SECONDS)
        headers = {**self._api.headers, "X-Session-Id": session}
        url = f"{self.url}/v1/chat/completions"
        http = self._api.client.http
        try:
            async with http.stream(
                "POST", url, json=asked, headers=headers, timeout=timeout
            ) as response:
                if not response.is_success:
                    await response.aread()
                    raise problem_of(response)
                async for data in events(response.aiter_bytes()):
                    yield piece(data)
        except httpx.HTTPError as error:
            raise unreachable(error, "the gateway", self.url) from error

    async def _ask(self, method: str, path: str, **request: Any) -> Any:
        try:
            response = await self._api.client.http.request(
                method, self.url + path, headers=self._api.headers, **request
            )
        except httpx.HTTPError as error:
            raise unreachable(error, "the gateway", self.url) from error
        if not response.is_success:
            raise problem_of(response)
        return _parsed(response.content)


async def events(pieces: AsyncIterator[bytes]) -> AsyncIterator[dict[str, Any]]:
    """The JSON of each server-sent event up to `[DONE]`. Raises Problem for an error among them,
    and for a stream that ends without `[DONE]`."""
    rest = b""
    async for some in pieces:
        *whole, rest = (rest + some).split(b"\n\n")
        if len(rest) > EVENT_BYTES:
            raise Problem("the gateway sent an event without an end")
        for event in whole:
            # Not splitlines: U+2028 in an answer ends no line of the protocol.
            lines = [line[5:].strip() for line in event.split(b"\n") if line.startswith(b"data:")]
            if lines == [b"[DONE]"]:
                return
            if lines:
                found = _parsed(b"\n".join(lines))
                if "error" in found:
                    raise _problem(found, 0)
                yield found
    raise Problem("the answer broke off", fix="try again")


def piece(chunk: Mapping[str, Any]) -> Piece:
    """One chunk of a chat completion; of a comparison, `side_by_side` tells the ids."""
    told = chunk.get("side_by_side") or {}
    ids = told.get("inference_ids") or [chunk.get("id", "")]
    usage = chunk.get("usage") or {}
    choices = chunk.get("choices") or [{}]
    choice = choices[0] if isinstance(choices[0], dict) else {}
    return Piece(
        index=int(choice.get("index") or 0),
        text=str((choice.get("delta") or {}).get("content") or ""),
        model=str(chunk.get("model") or ""),
        ids=tuple(str(one) for one in ids if one),
        finished=str(choice.get("finish_reason") or ""),
        tokens=usage.get("completion_tokens"),
    )


def problem_of(response: httpx.Response) -> Problem:
    """What an unsuccessful response says, in OpenAI's shape or any other."""
    try:
        found = _parsed(response.content)
    except Problem:
        found = {}
    return _problem(found, response.status_code)


def _problem(body: Mapping[str, Any], status: int) -> Problem:
    error = body.get("error")
    told = error if isinstance(error, dict) else {"message": error or body.get("message")}
    what = str(told.get("message") or f"the gateway answered {status}")
    where = f"`{told['param']}`" if told.get("param") else ""
    code = str(told.get("code") or "")
    return Problem(what, where=where, fix=_FIXES.get(status, ""), status=status, code=code)


def _model(one: Mapping[str, Any]) -> Model:
    """Of another server than ours, only the name is known: then it is asked by that."""
    told = one.get("llmops") or {}
    name = str(one.get("id") or "")
    return Model(name, str(told.get("kind") or "version"), told.get("version") or None)


def _parsed(content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise Problem(
            "the gateway answered with something that is not JSON", fix="is it a gateway?"
        )
    return found
