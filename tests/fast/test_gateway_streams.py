"""Streams as they pass through: what is changed, what is held, what is an error."""

import json
from typing import Any

import pytest

from llmops.gateway.streams import DONE, BadEvent, Events, Guise, Relay
from llmops.gateway.transcript import Transcript


def event(data: Any) -> bytes:
    return b"data: " + (data if isinstance(data, bytes) else json.dumps(data).encode()) + b"\n\n"


def chunk(text: str = "", finish: str | None = None, index: int = 0, **more: Any) -> bytes:
    choice = {"index": index, "delta": {"content": text}, "finish_reason": finish}
    return event({"id": "chatcmpl-X", "model": "town:v1", "choices": [choice]} | more)


USAGE = event(
    {"id": "chatcmpl-X", "model": "town:v1", "choices": [], "usage": {"prompt_tokens": 3}}
)


def relay(hold: bool = True, usage: bool = False, **guise: Any) -> Relay:
    shown = {"id": "chatcmpl-X", "model": "town:v1"} | guise
    return Relay(Guise(**shown), Transcript(), hold=hold, usage=usage)


def test_what_is_right_already_goes_on_as_it_came() -> None:
    odd = b'data: {"id":"chatcmpl-X" , "model":"town:v1","choices":[],"x":1.50}\n\n'
    assert relay().feed(odd) == odd


def test_id_and_model_become_the_gateways() -> None:
    out = relay().feed(event({"id": "abc", "model": "m", "choices": [], "other": [1]}))
    assert json.loads(out[6:]) == {
        "id": "chatcmpl-X",
        "model": "town:v1",
        "choices": [],
        "other": [1],
    }


def test_the_end_is_held_and_what_comes_before_is_not() -> None:
    stream = relay()
    assert stream.feed(chunk("a") + chunk("b")) == chunk("a") + chunk("b")
    assert stream.feed(chunk(finish="stop") + USAGE + DONE) == b""
    assert (stream.held, stream.done) == ([chunk(finish="stop"), DONE], True)


def test_nothing_is_held_when_the_log_may_come_later() -> None:
    whole = chunk("a", "stop") + DONE
    assert relay(hold=False).feed(whole) == whole


def test_the_usage_chunk_is_there_for_who_asked() -> None:
    asked, not_asked = relay(usage=True, hold=False), relay(hold=False)
    assert asked.feed(USAGE) == USAGE
    assert not_asked.feed(USAGE) == b""
    assert b"usage" not in not_asked.feed(chunk("a", usage=None))


def test_two_choices_are_held_each_at_its_own_end() -> None:
    stream = relay()
    stream.feed(chunk("a", index=0) + chunk("b", index=1))
    assert stream.feed(chunk(finish="stop", index=0)) == b""
    assert stream.feed(chunk("c", index=1)) == chunk("c", index=1)
    assert stream.feed(chunk(finish="stop", index=1)) == b""
    assert len(stream.held) == 2


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_the_network_may_cut_a_stream_anywhere(size: int, end: str) -> None:
    whole = (
        b": hello\n\n" + chunk("a") + b"event: x\ndata: 1\ndata: 2\n\n" + chunk("b\u20ac") + DONE
    )
    given = whole.replace(b"\n", end.encode()) + b": x\n\n"
    events = Events()
    cut = [e for i in range(0, len(given), size) for e in events.cut(given[i : i + size])]
    plain = [*Events().cut(whole)]
    assert cut[: len(plain)] == plain
    assert [data for _, data in plain] == [
        None,
        chunk("a")[6:-2],
        b"1\n2",
        chunk("b\u20ac")[6:-2],
        b"[DONE]",
    ]


@pytest.mark.parametrize(
    "bad",
    [
        event({"error": {"message": "the engine died"}}),
        event({"object": "error", "message": "the engine died"}),
        event({"id": "x", "choices": [], "error": "the engine died"}),
        event(b"{not json"),
        event(b"[1]"),
        chunk("half") + DONE,
        chunk("half", "abort") + DONE,
    ],
)
@pytest.mark.parametrize("hold", [True, False])
def test_what_is_no_whole_answer_is_an_error(bad: bytes, hold: bool) -> None:
    stream = relay(hold)
    with pytest.raises(BadEvent):
        stream.feed(chunk("a") + bad)
    assert stream.left.startswith(chunk("a"))
    assert b"[DONE]" not in stream.left


@pytest.mark.parametrize(
    "odd",
    [
        {"choices": None},
        {"choices": {"a": 1}},
        {"choices": [None, 3, {}]},
        {"choices": [{"index": "x", "delta": 5, "finish_reason": 7}]},
        {"choices": [{"delta": {"content": [1], "tool_calls": [{"function": "f"}, 1]}}]},
        {"choices": [{"delta": {"tool_calls": {"index": 0}}}], "usage": [1]},
    ],
)
def test_odd_shapes_go_on_and_break_nothing(odd: dict[str, Any]) -> None:
    assert relay(index=1).feed(event(odd))


def test_tool_calls_come_together_from_their_pieces() -> None:
    transcript = Transcript()
    pieces = [
        {"index": 0, "id": "c1", "type": "function", "function": {"name": "look", "arguments": ""}},
        {"index": 0, "function": {"arguments": '{"town": '}},
        {"index": 0, "function": {"arguments": '"Abbern"}'}},
    ]
    for piece in pieces:
        transcript.take({"choices": [{"index": 0, "delta": {"tool_calls": [piece]}}]}, "delta")
    function = {"name": "look", "arguments": '{"town": "Abbern"}'}
    assert transcript.choices()[0]["tool_calls"] == [
        {"id": "c1", "type": "function", "function": function}
    ]
