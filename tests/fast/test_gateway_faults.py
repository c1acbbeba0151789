"""A backend that misbehaves: a clear error, one record, nothing hangs."""

import asyncio
import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest

from llmops.gateway.routes import Upstream
from tests.fast.backend_server import Asked, BackendServer, hangs, hangs_in_the_middle, well
from tests.fast.gateway_process import GatewayProcess, gateway, routes
from tests.fast.protocol_server import closed_port

HELLO: list[Any] = [{"role": "user", "content": "Hello"}]
PATH = "/v1/chat/completions"
WAITS = ("--first-byte", "0.3", "--between-bytes", "0.3", "--drain", "0.1")


@pytest.fixture(scope="module")
def running(
    backend: BackendServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[GatewayProcess]:
    with gateway(tmp_path_factory.mktemp("project"), routes(backend.url), *WAITS) as process:
        yield process


@pytest.fixture(autouse=True)
def _well(backend: BackendServer) -> Iterator[None]:
    yield
    backend.answer = well


def ask(running: GatewayProcess, **more: Any) -> httpx.Response:
    """The answer; its record is the last one."""
    with running.client() as http:
        return http.post(PATH, json={"model": "town", "messages": HELLO} | more)


def error(answer: httpx.Response) -> dict[str, Any]:
    """The error object, from a body or from the last event of a stream."""
    text = answer.text
    if answer.headers["content-type"].startswith("text/event-stream"):
        assert "[DONE]" not in text
        assert '"finish_reason":"stop"' not in text
        text = text.strip().rpartition("data: ")[2]
    found: dict[str, Any] = json.loads(text)["error"]
    assert set(found) == {"message", "type", "param", "code"}
    return found


async def garbage(asked: Asked) -> None:
    await asked.raw(b"\x00\xffnothing like HTTP\r\n\r\n")
    await asked.gone()


async def no_json(asked: Asked) -> None:
    await asked.whole(b"<html>sorry</html>")


async def unfinished(asked: Asked) -> None:
    choice = {"index": 0, "message": {"content": "half"}, "finish_reason": None}
    await asked.whole(asked.shape([choice]))


async def drops(asked: Asked) -> None:
    asked.drop()


async def drops_in_the_middle(asked: Asked) -> None:
    if asked.body.get("stream"):
        await asked.begin()
        await asked.chunk("half")
    else:
        await asked.raw(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"id": ')
    asked.drop()


async def fails_in_the_middle(asked: Asked) -> None:
    await asked.begin()
    await asked.chunk("half")
    await asked.event({"error": {"message": "EngineCore died", "type": "x", "code": 500}})
    await asked.end()


async def ends_without_reason(asked: Asked) -> None:
    await asked.begin()
    await asked.chunk("half")
    await asked.end()


async def sends_no_event(asked: Asked) -> None:
    await asked.begin()
    await asked.event("{broken")
    await asked.end()


async def outlives_its_engine(asked: Asked) -> None:
    """As vLLM's API server answers once its engine's process is gone."""
    message = "EngineCore encountered an issue. See stack trace (above) for the root cause."
    await asked.whole({"error": {"message": message, "type": "InternalServerError"}}, status=500)


WHOLE = [
    (outlives_its_engine, 503, "unreachable"),
    (hangs, 504, "timeout"),
    (garbage, 502, "garbage"),
    (no_json, 502, "garbage"),
    (unfinished, 502, "garbage"),
    (drops, 503, "broken"),
    (drops_in_the_middle, 503, "broken"),
]


@pytest.mark.parametrize(
    ("answer", "status", "reason"), WHOLE, ids=lambda v: getattr(v, "__name__", v)
)
def test_a_whole_answer_goes_wrong(
    running: GatewayProcess, backend: BackendServer, answer: Any, status: int, reason: str
) -> None:
    backend.answer = answer
    response = ask(running)
    record = running.records()[-1]
    assert (response.status_code, error(response)["code"]) == (status, f"backend_{reason}")
    assert ("retry-after" in response.headers) == (status == 503)
    assert (record["status"], record["id"]) == (status, response.headers["x-request-id"])
    assert record["error"].lower() == error(response)["message"].lower()


STREAMS = [
    (hangs_in_the_middle, "timeout"),
    (drops_in_the_middle, "broken"),
    (fails_in_the_middle, "garbage"),
    (ends_without_reason, "garbage"),
    (sends_no_event, "garbage"),
]


@pytest.mark.parametrize(("answer", "reason"), STREAMS, ids=lambda v: getattr(v, "__name__", v))
def test_a_stream_goes_wrong(
    running: GatewayProcess, backend: BackendServer, answer: Any, reason: str
) -> None:
    backend.answer = answer
    response = ask(running, stream=True)
    record = running.records()[-1]
    assert error(response)["code"] == f"backend_{reason}"
    assert (record["stream"], record["status"]) == (True, 200)
    assert record["error"].lower() == error(response)["message"].lower()
    if answer is not sends_no_event:
        assert record["choices"][0]["text"] == "half"
        assert "half" in response.text


def test_a_stream_that_never_begins_is_a_plain_error(
    running: GatewayProcess, backend: BackendServer
) -> None:
    backend.answer = hangs
    response = ask(running, stream=True)
    assert (response.status_code, error(response)["code"]) == (504, "backend_timeout")
    backend.answer = no_json
    assert ask(running, stream=True).status_code == 502


def test_the_official_client_raises_on_a_broken_stream(
    running: GatewayProcess, backend: BackendServer
) -> None:
    backend.answer = fails_in_the_middle
    with openai.OpenAI(base_url=f"{running.url}/v1", api_key="x", max_retries=0) as client:
        stream = client.chat.completions.create(model="town", messages=HELLO, stream=True)
        with pytest.raises(openai.APIError, match="EngineCore died"):
            list(stream)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            {
                "error": {
                    "message": "too long",
                    "type": "BadRequestError",
                    "param": None,
                    "code": 400,
                }
            },
            "too long",
        ),
        ({"object": "error", "message": "too long", "code": 400}, "too long"),
        ({"detail": [{"loc": ["body"], "msg": "no"}]}, '[{"loc":["body"],"msg":"no"}]'),
        (b"<html>", "the backend answered 429"),
    ],
)
def test_the_backends_own_errors_are_passed_on(
    running: GatewayProcess, backend: BackendServer, body: Any, message: str
) -> None:
    async def refuses(asked: Asked) -> None:
        await asked.whole(body, 429, "Retry-After: 7\r\n")

    backend.answer = refuses
    for stream in (False, True):
        response = ask(running, stream=stream)
        assert (response.status_code, response.headers["retry-after"]) == (429, "7")
        assert error(response)["message"] == message
        assert running.records()[-1]["error"] == message


def test_a_backend_that_is_not_there(running: GatewayProcess, backend: BackendServer) -> None:
    generation = int(time.time())
    away = {"only": Upstream(url=f"http://127.0.0.1:{closed_port()}")}
    running.follow(routes(backend.url, generation=generation, backends=away))
    try:
        response = ask(running)
        assert (response.status_code, response.headers["retry-after"]) == (503, "1")
        assert error(response)["code"] == "backend_unreachable"
        assert running.records()[-1]["status"] == 503
        lines = running.log().count(away["only"].url)
        assert lines == 1
        ask(running)
        assert running.log().count(away["only"].url) == lines, "a line for each request"
    finally:
        running.follow(routes(backend.url, generation=generation + 1))


def test_a_connection_that_the_backend_closed_is_replaced(
    running: GatewayProcess, backend: BackendServer
) -> None:
    async def closes(asked: Asked) -> None:
        await well(asked)
        asked.drop()

    backend.answer = closes
    assert [ask(running).status_code for _ in range(5)] == [200] * 5


def test_a_connection_that_the_backend_closes_just_now_is_replaced_too(
    running: GatewayProcess, backend: BackendServer
) -> None:
    async def answers_once(asked: Asked) -> None:
        if asked.number == 1:
            await well(asked)
        else:
            asked.drop()

    backend.answer = answers_once
    assert [ask(running).status_code for _ in range(5)] == [200] * 5


@pytest.mark.parametrize("pause", [0.0, 0.02])
def test_what_nobody_asked_for_is_no_answer(
    running: GatewayProcess, backend: BackendServer, pause: float
) -> None:
    async def says_more(asked: Asked) -> None:
        await well(asked)
        await asyncio.sleep(pause)
        await asked.whole({"error": {"message": "too slow"}}, 408)
        await asked.gone()

    backend.answer = says_more
    for _ in range(3):
        backend.dropped.clear()
        assert ask(running).status_code == 200
        assert backend.dropped.wait(5)
