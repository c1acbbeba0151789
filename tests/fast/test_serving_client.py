from pathlib import Path

import pytest

from llmops.errors import Failed
from llmops.serving.client import Answer, Stream, answer, request
from llmops.serving.endpoint import Endpoint
from tests.fast.protocol_server import DONE, Wire, closed_port, event, piece, serve_wire

USAGE = event(id="chatcmpl-1", model="town:v2", choices=[], usage={"completion_tokens": 2})


def read(wire: Wire, uds: Path | None = None) -> tuple[list[str], Answer]:
    with serve_wire(wire, uds) as endpoint, endpoint.client(timeout=5) as client:
        stream = Stream(client, request("town:v2", "hi"))
        return list(stream), stream.answer


def failure(wire: Wire) -> str:
    with pytest.raises(Failed) as caught:
        read(wire)
    return str(caught.value)


def test_a_complete_stream_gives_its_pieces_and_the_answer() -> None:
    pieces, found = read(Wire(piece("Al") + piece("der", "stop") + USAGE + DONE))
    assert pieces == ["Al", "der"]
    assert found == Answer("Alder", "town:v2", "stop", "chatcmpl-1", 2)


def test_a_stream_comes_over_a_unix_socket(tmp_path: Path) -> None:
    _, found = read(Wire(piece("Alder", "stop") + DONE), tmp_path / "s")
    assert found.text == "Alder"


def test_comments_that_keep_the_connection_alive_are_passed_over() -> None:
    _, found = read(Wire(": ping\n\n" + piece("Alder", "stop") + ": ping\n\n" + DONE))
    assert found.text == "Alder"


def test_an_error_event_under_status_200_is_an_error() -> None:
    broken = event(error={"message": "EngineCore encountered an issue", "code": 500})
    assert "EngineCore encountered an issue" in failure(Wire(piece("Al") + broken + DONE))


def test_an_error_event_after_the_finish_reason_is_an_error() -> None:
    assert "late" in failure(Wire(piece("Al", "stop") + event(error="late") + DONE))


def test_a_stream_without_a_finish_reason_is_an_error() -> None:
    assert "finish_reason" in failure(Wire(piece("Al") + piece("der") + DONE))


def test_a_finish_reason_that_says_error_is_an_error() -> None:
    assert "`error`" in failure(Wire(piece("Al", "error") + DONE))


def test_a_stream_that_breaks_off_is_an_error() -> None:
    assert "broke off" in failure(Wire(piece("Al"), promised=100))


@pytest.mark.parametrize("line", ["garbage: {}\n\n", "data: {not json}\n\n", "data: 7\n\n"])
def test_a_line_that_is_no_event_is_an_error(line: str) -> None:
    assert "the server sent" in failure(Wire(piece("Al") + line + DONE))


@pytest.mark.parametrize("status", [400, 404, 500])
def test_an_error_in_openais_shape_tells_status_and_message(status: int) -> None:
    body = {"error": {"message": "The model `x` does not exist.", "type": "NotFoundError"}}
    told = failure(Wire(body, status))
    assert str(status) in told
    assert "The model `x` does not exist." in told


def test_an_error_that_is_no_json_is_shown_as_it_came() -> None:
    assert "upstream is down" in failure(Wire("<h1>upstream is down</h1>", 502))


def test_a_refused_connection_names_the_address() -> None:
    url = f"http://127.0.0.1:{closed_port()}"
    with pytest.raises(Failed, match=url), Endpoint(url).client() as client:
        list(Stream(client, request("town:v2", "hi")))


def test_proxies_of_the_environment_are_left_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{closed_port()}")
    _, found = read(Wire(piece("Alder", "stop") + DONE))
    assert found.text == "Alder"


def whole(text: str, finish: str | None = "stop") -> dict[str, object]:
    choice = {"index": 0, "message": {"content": text}, "finish_reason": finish}
    return {"id": "chatcmpl-1", "model": "town:v2", "choices": [choice]}


def test_a_whole_answer_without_finish_reason_is_an_error() -> None:
    wire = Wire(whole("Al", None))
    with serve_wire(wire) as endpoint, endpoint.client() as client, pytest.raises(Failed) as caught:
        answer(client, request("town:v2", "hi"))
    assert "finish_reason" in str(caught.value)


def test_a_whole_answer_with_an_error_under_status_200_is_an_error() -> None:
    wire = Wire({"error": {"message": "engine is dead"}})
    with serve_wire(wire) as endpoint, endpoint.client() as client, pytest.raises(Failed) as caught:
        answer(client, request("town:v2", "hi"))
    assert "engine is dead" in str(caught.value)


def test_what_is_not_given_is_left_to_the_server() -> None:
    assert request("town:v2", "hi") == {
        "model": "town:v2",
        "messages": [{"role": "user", "content": "hi"}],
    }
