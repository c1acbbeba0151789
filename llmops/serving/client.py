"""Asking a served model: streaming, or one answer.

An answer is complete only when it carries a finish_reason and no error event, whatever the HTTP
status said: vLLM ends streams whose engine died with `data: {"error": ...}` and a normal `[DONE]`
under HTTP 200.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llmops.errors import Failed
from llmops.gateway.replies import error_message
from llmops.serving.endpoint import decoded, post, unreachable

if TYPE_CHECKING:
    import httpx

Message = dict[str, str]
Prompt = str | Sequence[Message]

_PATH = "/v1/chat/completions"
_FAILED_REASONS = ("error", "abort")
_SSE_FIELDS = ("event", "id", "retry")


@dataclass(frozen=True)
class Answer:
    """A complete answer. model: the version that gave it; id: the server's own for it;
    finish_reason: stop, length, ...; tokens: of the completion, where the server tells."""

    text: str
    model: str
    finish_reason: str
    id: str = ""
    tokens: int | None = None


class Stream:
    """Iterate for the pieces of text as they come; `answer` is there once the iteration ended.

    Raises Failed on an error event, on an answer without finish_reason, and on a broken
    connection.
    """

    def __init__(self, client: "httpx.Client", body: dict[str, Any]) -> None:
        self._client = client
        self._body = {**body, "stream": True, "stream_options": {"include_usage": True}}
        self._answer: Answer | None = None

    @property
    def answer(self) -> Answer:
        assert self._answer is not None, "the stream was not read to its end"
        return self._answer

    def __iter__(self) -> Iterator[str]:
        import httpx

        try:
            with self._client.stream("POST", _PATH, json=self._body) as response:
                if response.status_code != 200:
                    response.read()
                    decoded(response.status_code, response.text, f"POST {_PATH}")
                yield from self._pieces(response.iter_lines())
        except httpx.TransportError as error:
            raise unreachable(error, self._client) from error

    def _pieces(self, lines: Iterator[str]) -> Iterator[str]:
        text: list[str] = []
        finish, tokens = "", None
        chunk: dict[str, Any] = {}
        for chunk in events(lines):
            for choice in chunk.get("choices") or []:
                piece = (choice.get("delta") or {}).get("content") or ""
                finish = choice.get("finish_reason") or finish
                if piece:
                    text.append(piece)
                    yield piece
            tokens = (chunk.get("usage") or {}).get("completion_tokens", tokens)
        self._answer = _complete("".join(text), finish, chunk, tokens)


def events(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    """The JSON objects of a stream of server-sent events, up to `[DONE]`."""
    for line in lines:
        field, _, data = line.partition(":")
        if not field or field in _SSE_FIELDS:
            continue  # blank lines end events, comments keep the connection alive
        if field != "data":
            raise Failed(f"the server sent a line that is no event: {line[:200]!r}")
        data = data.strip()
        if data == "[DONE]":
            return
        try:
            chunk = json.loads(data)
        except ValueError:
            raise Failed(f"the server sent an event that is not JSON: {data[:200]!r}") from None
        if not isinstance(chunk, dict):
            raise Failed(f"the server sent an event that is no object: {data[:200]!r}")
        if "error" in chunk or chunk.get("object") == "error":
            raise Failed(f"the answer ended in an error: {error_message(chunk)}")
        yield chunk


def _complete(text: str, finish: str, source: dict[str, Any], tokens: int | None) -> Answer:
    if not finish or finish in _FAILED_REASONS:
        reason = f"ended with `{finish}`" if finish else "ended without a finish_reason"
        raise Failed(
            f"the answer is not complete: it {reason}",
            where=f"after {len(text)} characters",
            fix="the backend's log tells more: .llmops/serving/NAME/backend.log",
        )
    return Answer(text, str(source.get("model", "")), finish, str(source.get("id", "")), tokens)


def request(
    model: str,
    prompt: Prompt,
    *,
    max_tokens: int | None = None,
    temperature: float | None = None,
) -> dict[str, Any]:
    """The body of a chat completion; what is None is left to the server."""
    messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else list(prompt)
    body: dict[str, Any] = {"model": model, "messages": messages}
    if max_tokens is not None:
        body["max_tokens"] = max_tokens
    if temperature is not None:
        body["temperature"] = temperature
    return body


def answer(client: "httpx.Client", body: dict[str, Any]) -> Answer:
    """One answer, whole. Raises Failed as `Stream` does."""
    found = post(client, _PATH, body)
    choices = found.get("choices") or [{}]
    text = (choices[0].get("message") or {}).get("content") or ""
    tokens = (found.get("usage") or {}).get("completion_tokens")
    return _complete(text, choices[0].get("finish_reason") or "", found, tokens)
