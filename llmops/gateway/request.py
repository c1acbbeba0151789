"""A request as the gateway understands it: parsed once, forwarded with nothing lost.

Read here are only the keys that the gateway acts on; whether the rest makes sense is the
backend's to say. Names of users and sessions leave this module as HMACs.
"""

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from llmops.feedback.identity import Identity
from llmops.gateway.replies import Refused

Endpoint = Literal["chat", "completions"]
PATHS: dict[Endpoint, str] = {"chat": "/v1/chat/completions", "completions": "/v1/completions"}
PREFIXES: dict[Endpoint, str] = {"chat": "chatcmpl-", "completions": "cmpl-"}

_SOURCE = re.compile(rb"[a-z]+:[A-Za-z0-9._-]{1,64}")
_TRACED = (b"traceparent", b"tracestate")
# What is recorded under a key of its own, and what names a person.
_NO_PARAMETERS = {
    *("model", "messages", "prompt", "stream", "stream_options", "side_by_side"),
    *("user", "safety_identifier", "prompt_cache_key"),
}


@dataclass(slots=True)
class Request:
    """time: when it came, milliseconds since 1970; began: the same on the monotonic clock, in
    seconds. trace: header lines that go on to the backend. user, session: HMACs."""

    endpoint: Endpoint
    body: dict[str, Any]
    model: str | None
    stream: bool
    wants_usage: bool
    side_by_side: bool
    user: str | None
    session: str | None
    source: str | None
    trace: bytes
    time: int
    began: float

    def upstream_body(self, model: str) -> bytes:
        """What the backend is asked. Raises Refused when it nests too deeply to be written."""
        body = {**self.body, "model": model}
        if self.stream:
            given = body.get("stream_options")
            options = given if isinstance(given, dict) else {}
            body["stream_options"] = {**options, "include_usage": True}
        try:
            return orjson.dumps(body)
        except orjson.JSONEncodeError:
            raise Refused(400, "The body nests too deeply") from None

    def parameters(self) -> dict[str, Any]:
        """What the record keeps beside messages, prompt and the names of people."""
        kept = {key: value for key, value in self.body.items() if key not in _NO_PARAMETERS}
        metadata = kept.get("metadata")
        if isinstance(metadata, dict) and "session_id" in metadata:
            kept["metadata"] = {k: v for k, v in metadata.items() if k != "session_id"}
        return kept


def answer_id(request: Request, inference: str) -> str:
    """The `id` that a client sees: vLLM makes the same from X-Request-Id."""
    return PREFIXES[request.endpoint] + inference


def parse_json(raw: bytes) -> Any:
    """Raises Refused (400) for what is no JSON in UTF-8, or nests absurdly."""
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise Refused(400, f"The body is no JSON: {error}", code="invalid_json") from None


def parse_request(
    endpoint: Endpoint, body: Any, headers: Mapping[bytes, bytes], identity: Identity
) -> Request:
    """Raises Refused (400) when a key that the gateway acts on is of the wrong type."""
    began = time.monotonic()
    if not isinstance(body, dict):
        raise Refused(400, "The body must be a JSON object")
    if endpoint == "chat" and not isinstance(body.get("messages"), list):
        raise Refused(400, "`messages` must be a list", param="messages")
    options = body.get("stream_options")
    side_by_side = _flag(body, "side_by_side")
    body.pop("side_by_side", None)
    session = headers.get(b"x-session-id", b"").decode("latin-1") or _session(body)
    return Request(
        endpoint=endpoint,
        body=body,
        model=_model(body),
        stream=_flag(body, "stream"),
        wants_usage=isinstance(options, dict) and bool(options.get("include_usage")),
        side_by_side=side_by_side,
        user=_hidden(body.get("user"), identity)
        or _hidden(body.get("safety_identifier"), identity),
        session=_hidden(session, identity),
        source=source_of(headers),
        trace=b"".join(b"%b: %b\r\n" % (n, headers[n]) for n in _TRACED if n in headers),
        time=time.time_ns() // 1_000_000,
        began=began,
    )


def unit_of(request: Request, order: Sequence[str], inference: str, identity: Identity) -> str:
    """What is assigned to a variant: the first of `order` that the request tells."""
    for kind in order:
        if kind == "user" and request.user:
            return f"user:{request.user}"
        if kind == "session" and request.session:
            return f"session:{request.session}"
        if kind == "conversation":
            return f"conversation:{identity.user(_opening(request))}"
    return f"request:{inference}"


def source_of(headers: Mapping[bytes, bytes]) -> str | None:
    """Where the traffic comes from, when it is not real. Raises Refused (400) for a bad name."""
    given = headers.get(b"x-llmops-source")
    if given is None:
        return None
    if not _SOURCE.fullmatch(given):
        raise Refused(400, "X-LLMOps-Source must look like `simulated:NAME`")
    return given.decode()


def _model(body: dict[str, Any]) -> str | None:
    model = body.get("model")
    if model is not None and not isinstance(model, str):
        raise Refused(400, "`model` must be a string", param="model")
    return model


def _flag(body: dict[str, Any], key: str) -> bool:
    value = body.get(key)
    if value is not None and not isinstance(value, bool):
        raise Refused(400, f"`{key}` must be true or false", param=key)
    return bool(value)


def _session(body: dict[str, Any]) -> Any:
    metadata = body.get("metadata")
    return metadata.get("session_id") if isinstance(metadata, dict) else None


def _hidden(name: Any, identity: Identity) -> str | None:
    return identity.user(name) if isinstance(name, str) and name else None


def _opening(request: Request) -> str:
    """The start of a conversation, which all its later requests repeat: the messages up to the
    first of the user's, or a prompt."""
    opening: Any = request.body.get("prompt")
    if request.endpoint == "chat":
        opening = []
        for message in request.body["messages"]:
            opening.append(message)
            if isinstance(message, dict) and message.get("role") == "user":
                break
    try:
        text = orjson.dumps(opening, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:
        raise Refused(400, "The body nests too deeply") from None
    return "conversation\0" + text.decode()
