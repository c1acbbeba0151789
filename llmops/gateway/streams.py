"""Streams of server-sent events: split, checked, rewritten as little as possible, held at the end.

Pure: bytes of a backend in, bytes for the client out. An event whose `id` and `model` are right
already goes on as it came, comments too.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from llmops.gateway.replies import error_message
from llmops.gateway.transcript import Transcript

EVENT_LIMIT = 16 << 20
DONE = b"data: [DONE]\n\n"


class BadEvent(ValueError):
    """A backend's stream is none, or says that its answer failed."""


class Events:
    """Cuts a stream into events, however the network cut it into pieces."""

    def __init__(self) -> None:
        self._rest = b""

    def cut(self, piece: bytes) -> Iterator[tuple[bytes, bytes | None]]:
        """Each whole event as it came, and its data: None for one without. Raises BadEvent for
        one that never ends."""
        piece = self._rest + piece
        if b"\r" in piece:
            # A final \r may be half of \r\n: it waits for the next piece.
            kept = b"\r" if piece.endswith(b"\r") else b""
            piece = piece.removesuffix(b"\r").replace(b"\r\n", b"\n").replace(b"\r", b"\n") + kept
        *events, self._rest = piece.split(b"\n\n")
        if len(self._rest) > EVENT_LIMIT:
            raise BadEvent(f"the backend sent an event of more than {EVENT_LIMIT} bytes")
        for event in events:
            if event:
                yield event + b"\n\n", _data(event)


@dataclass(frozen=True, slots=True)
class Guise:
    """What the client is to see. index: of the only choice, in a comparison, whose streams end
    together and so have no `[DONE]` of their own; first: keys that the first chunk shows besides,
    emptied by whoever shows them."""

    id: str
    model: str
    index: int | None = None
    first: dict[str, Any] | None = None


class Relay:
    """One stream from a backend to a client.

    `feed` returns what may go on at once; what says that the answer is finished, and all after
    it, waits in `held` when `hold` is set. done: `[DONE]` came. usage: whether the client asked
    for the chunk that tells the tokens.
    """

    def __init__(self, guise: Guise, transcript: Transcript, *, hold: bool, usage: bool) -> None:
        self.held: list[bytes] = []
        self.left = b""
        self.done = False
        self._guise = guise
        self._transcript = transcript
        self._hold = hold
        self._usage = usage
        self._holding = False
        self._events = Events()

    def feed(self, piece: bytes) -> bytes:
        """Raises BadEvent; `left` is then what may still go on before the error."""
        out: list[bytes] = []
        try:
            for raw, data in self._events.cut(piece):
                self._event(raw, data, out)
        except BadEvent:
            self.left = b"".join(out)
            raise
        return out[0] if len(out) == 1 else b"".join(out)

    def _event(self, raw: bytes, data: bytes | None, out: list[bytes]) -> None:
        if self.done:
            return
        if data is None:
            out.append(raw)
        elif data == b"[DONE]":
            if self._transcript.problem:
                raise BadEvent(self._transcript.problem)
            self.done = True
            if self._guise.index is None:
                (self.held if self._hold else out).append(DONE)
        else:
            self._chunk(raw, _parsed(data), out)

    def _chunk(self, raw: bytes, chunk: dict[str, Any], out: list[bytes]) -> None:
        finished = self._transcript.take(chunk, "delta")
        given = chunk.get("choices")
        choices = given if isinstance(given, list) else []
        if not choices and chunk.get("usage") and not self._usage:
            return
        if self._rewrite(chunk, choices):
            raw = b"data: " + orjson.dumps(chunk) + b"\n\n"
        if self._hold and (finished or self._holding):
            # Several choices in one chunk: what comes later may not overtake it.
            self._holding = self._holding or self._transcript.problem is None or len(choices) > 1
            self.held.append(raw)
        else:
            out.append(raw)

    def _rewrite(self, chunk: dict[str, Any], choices: list[Any]) -> bool:
        """Whether anything had to be changed."""
        guise, changed = self._guise, False
        if chunk.get("id") != guise.id or chunk.get("model") != guise.model:
            chunk["id"], chunk["model"] = guise.id, guise.model
            changed = True
        if not self._usage and "usage" in chunk and chunk["usage"] is None:
            del chunk["usage"]
            changed = True
        if guise.index is not None:
            for choice in choices:
                if isinstance(choice, dict):
                    choice["index"] = guise.index
            chunk.pop("system_fingerprint", None)  # would tell the two apart
            changed = True
        if guise.first:
            chunk.update(guise.first)
            guise.first.clear()
            changed = True
        return changed


def _data(event: bytes) -> bytes | None:
    if event.startswith(b"data:") and b"\n" not in event:
        return event[5:].strip()
    lines = [line[5:].strip() for line in event.split(b"\n") if line.startswith(b"data:")]
    return b"\n".join(lines) if lines else None


def _parsed(data: bytes) -> dict[str, Any]:
    try:
        chunk = orjson.loads(data)
    except orjson.JSONDecodeError:
        raise BadEvent("the backend sent an event that is no JSON") from None
    if not isinstance(chunk, dict):
        raise BadEvent("the backend sent an event that is no JSON object")
    if chunk.get("error") or chunk.get("object") == "error":
        raise BadEvent(f"the backend's answer ended in an error: {error_message(chunk)}")
    return chunk
