"""Answers through a real gateway process: what is asked of the backend, given back and kept."""

import asyncio
import json
import socket
import subprocess
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import openai
import pytest

from llmops.feedback.identity import load_identity
from llmops.gateway.routes import RoutedVariant
from tests.fast.backend_server import Asked, BackendServer, waits, well
from tests.fast.gateway_process import GatewayProcess, routes
from tests.waiting import until

HELLO: list[Any] = [{"role": "user", "content": "Hello"}]
TEXT = "The Abb flows there."


@pytest.fixture(autouse=True)
def _well(backend: BackendServer) -> Iterator[None]:
    yield
    backend.answer = well


@pytest.fixture(scope="module")
def client(running: GatewayProcess) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{running.url}/v1", api_key="unused", max_retries=0) as found:
        yield found


def last(running: GatewayProcess) -> dict[str, Any]:
    return running.records()[-1]


def test_the_official_client_is_answered(client: openai.OpenAI, running: GatewayProcess) -> None:
    answer = client.chat.completions.create(model="town", messages=HELLO, user="ann", seed=3)
    record = last(running)
    assert (answer.id, answer.model) == (f"chatcmpl-{record['id']}", record["version"])
    assert answer.choices[0].message.content == TEXT
    assert record["choices"][0]["text"] == TEXT
    assert (record["messages"], record["parameters"]) == (HELLO, {"seed": 3})
    assert (record["prompt_tokens"], record["completion_tokens"]) == (7, 4)
    assert (record["status"], record["error"], record["stream"]) == (200, None, False)


def test_the_id_is_signed_and_goes_to_the_backend(
    client: openai.OpenAI, running: GatewayProcess, backend: BackendServer
) -> None:
    raw = client.chat.completions.with_raw_response.create(model="town", messages=HELLO)
    inference = raw.headers["x-request-id"]
    load_identity(running.paths.secret).time_of(inference, "town")
    assert raw.parse().id == f"chatcmpl-{inference}"
    assert backend.asked[-1].headers["x-request-id"] == inference


def test_a_stream_arrives_whole(client: openai.OpenAI, running: GatewayProcess) -> None:
    chunks = list(client.chat.completions.create(model="town", messages=HELLO, stream=True))
    record = last(running)
    assert "".join(c.choices[0].delta.content or "" for c in chunks) == TEXT
    assert {(c.id, c.model) for c in chunks} == {(f"chatcmpl-{record['id']}", record["version"])}
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert record["completion_tokens"] == 4
    assert 0 < record["first_token_ms"] <= record["total_ms"]


def test_usage_is_there_for_who_asked(client: openai.OpenAI) -> None:
    asked = {"stream_options": {"include_usage": True}}
    stream = client.chat.completions.create(
        model="town", messages=HELLO, stream=True, extra_body=asked
    )
    assert [c.usage.total_tokens for c in stream if c.usage] == [11]


def test_streams_are_not_buffered(client: openai.OpenAI, backend: BackendServer) -> None:
    go_on = asyncio.Event()
    backend.answer = waits(go_on)
    stream = client.chat.completions.create(model="town", messages=HELLO, stream=True)
    assert next(iter(stream)).choices[0].delta.content == "first"
    backend.loop.call_soon_threadsafe(go_on.set)
    assert list(stream)[-1].choices[0].finish_reason == "stop"


def test_asynchronous_clients_at_once(running: GatewayProcess) -> None:
    async def ask() -> set[str]:
        async with openai.AsyncOpenAI(base_url=f"{running.url}/v1", api_key="x") as client:
            jobs = (client.chat.completions.create(model="town", messages=HELLO) for _ in range(20))
            return {answer.id for answer in await asyncio.gather(*jobs)}

    ids = asyncio.run(ask())
    kept = {f"chatcmpl-{record['id']}" for record in running.records()}
    assert len(ids) == 20
    assert ids <= kept


def test_tools_go_through_both_ways(
    client: openai.OpenAI, running: GatewayProcess, backend: BackendServer
) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"a": 1}'}}

    async def calls(asked: Asked) -> None:
        message = {"role": "assistant", "content": None, "tool_calls": [call]}
        choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
        await asked.whole(asked.shape([choice]))

    backend.answer = calls
    tools: list[Any] = [{"type": "function", "function": {"name": "look", "parameters": {}}}]
    answer = client.chat.completions.create(model="town", messages=HELLO, tools=tools)
    assert answer.choices[0].message.tool_calls is not None
    assert backend.asked[-1].body["tools"] == tools
    assert last(running)["choices"][0]["tool_calls"] == [call]


def test_nothing_but_the_model_changes_on_the_way(
    running: GatewayProcess, backend: BackendServer
) -> None:
    body = {"model": "town:v3", "messages": HELLO, "guided_json": {"a": [1.5, None]}, "k": "\u20ac"}
    with running.client() as http:
        http.post("/v1/chat/completions", json=body, headers={"traceparent": "00-1-1-01"})
    asked = backend.asked[-1]
    assert asked.body == body
    assert asked.headers["traceparent"] == "00-1-1-01"


def test_a_key_of_the_clients_is_not_forwarded(
    client: openai.OpenAI, backend: BackendServer
) -> None:
    client.chat.completions.create(model="town", messages=HELLO)
    assert "authorization" not in backend.asked[-1].headers


def test_completions(client: openai.OpenAI, running: GatewayProcess) -> None:
    answer = client.completions.create(model="town", prompt="The")
    record = last(running)
    assert (answer.choices[0].text, answer.id) == (TEXT, f"cmpl-{record['id']}")
    assert (record["endpoint"], record["prompt"], record["messages"]) == (
        "completions",
        "The",
        None,
    )
    pieces = client.completions.create(model="town", prompt="The", stream=True)
    assert "".join(piece.choices[0].text for piece in pieces) == TEXT


def test_who_names_a_version_is_no_exposure(client: openai.OpenAI, running: GatewayProcess) -> None:
    for model, variant in (("candidate", "candidate"), ("town:v3", "")):
        client.chat.completions.create(model=model, messages=HELLO, user="ann")
        assert (last(running)["variant"], last(running)["unit"]) == (variant, "")
        assert last(running)["user"]


def test_one_user_stays_with_one_variant(client: openai.OpenAI, running: GatewayProcess) -> None:
    answers = [
        client.chat.completions.create(model="town", messages=HELLO, user="bob-of-the-bakery").model
        for _ in range(5)
    ]
    assert len(set(answers)) == 1
    assert "bob-of-the-bakery" not in json.dumps(running.records())


def test_where_traffic_comes_from_is_kept(running: GatewayProcess) -> None:
    with running.client() as http:
        body = {"model": "town", "messages": HELLO}
        source = {"X-LLMOps-Source": "simulated:town"}
        http.post("/v1/chat/completions", json=body, headers=source).raise_for_status()
        refused = http.post(
            "/v1/chat/completions", json=body, headers={"X-LLMOps-Source": "my dog"}
        )
    assert last(running)["source"] == "simulated:town"
    assert refused.status_code == 400


def test_an_id_of_a_foreign_backend_becomes_ours(
    client: openai.OpenAI, backend: BackendServer
) -> None:
    async def foreign(asked: Asked) -> None:
        whole = asked.shape([{"index": 0, "message": {"content": "x"}, "finish_reason": "stop"}])
        await asked.whole(whole | {"id": "abc", "model": "other-name", "extra": {"kept": 1}})

    backend.answer = foreign
    raw = client.chat.completions.with_raw_response.create(model="town", messages=HELLO)
    body = json.loads(raw.text)
    assert body["id"] == f"chatcmpl-{raw.headers['x-request-id']}"
    assert body["model"] in ("town:v1", "town:v2")
    assert body["extra"] == {"kept": 1}


def test_the_short_forms(running: GatewayProcess, backend: BackendServer) -> None:
    with running.client() as http:
        for body in (
            {"prompt": "Hi"},
            {"input": "Hi"},
            {"messages": [{"role": "user", "content": "Hi"}]},
        ):
            answer = http.post("/predict", json=body).json()
            assert answer["choices"][0]["message"]["content"] == TEXT
            assert backend.asked[-1].body["messages"] == [{"role": "user", "content": "Hi"}]
        assert http.get("/models").json() == http.get("/v1/models").json()


def test_curl(running: GatewayProcess) -> None:
    body = json.dumps({"model": "town", "messages": HELLO, "stream": True})
    url = f"{running.url}/v1/chat/completions"
    argv = ["curl", "-sSN", "--fail", url, "-H", "Content-Type: application/json", "-d", body]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=20)
    assert done.stdout.endswith("data: [DONE]\n\n")


def test_models_are_listed_and_found(client: openai.OpenAI) -> None:
    names = [model.id for model in client.models.list()]
    assert names == ["town", "control", "candidate", "town:v1", "town:v2", "town:v3"]
    assert client.models.retrieve("town:v2").id == "town:v2"
    with pytest.raises(openai.NotFoundError, match=r"town, control"):
        client.chat.completions.create(model="town:v9", messages=HELLO)


def test_experiments_tell_the_split(running: GatewayProcess) -> None:
    with running.client() as http:
        told = http.get("/v1/experiments").json()
    assert [(v["name"], v["version"], v["share"]) for v in told["variants"]] == [
        ("control", "town:v1", 0.9),
        ("candidate", "town:v2", 0.1),
    ]


def test_metrics_are_prometheus(client: openai.OpenAI, running: GatewayProcess) -> None:
    from prometheus_client.parser import text_string_to_metric_families

    list(client.chat.completions.create(model="town:v3", messages=HELLO, stream=True))
    with running.client() as http:
        families = {f.name: f for f in text_string_to_metric_families(http.get("/metrics").text)}
    name = "llmops_gateway_requests"
    counted = [s for s in families[name].samples if s.labels["version"] == "town:v3"]
    assert counted
    assert families["llmops_gateway_first_token_seconds"].type == "histogram"
    assert families["llmops_gateway_routes_generation"].samples[0].value >= 1
    assert all(s.value == 0 for s in families["llmops_gateway_in_flight"].samples)


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_goes_away_stops_the_backend(
    running: GatewayProcess, backend: BackendServer, stream: bool
) -> None:
    async def never_ends(asked: Asked) -> None:
        if stream:
            await asked.begin()
            await asked.chunk("half")
        await asked.gone()

    backend.answer = never_ends
    backend.came.clear()
    backend.dropped.clear()
    before, url = len(running.records()), urlsplit(running.url)
    body = json.dumps({"model": "town:v3", "messages": HELLO, "stream": stream}).encode()
    with socket.create_connection((url.hostname or "", url.port or 0)) as client:
        client.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body)
        )
        client.sendall(body)
        assert backend.came.wait(30)
        if stream:
            assert client.recv(9) == b"HTTP/1.1 "
    assert backend.dropped.wait(30)
    record = running.recorded(before + 1)[-1]
    assert record["error"] == "client disconnected"
    assert record["status"] == (200 if stream else 499)
    with running.client() as http:
        until(lambda: 'in_flight{version="town:v3"} 0' in http.get("/metrics").text)


def test_a_new_table_takes_the_traffic_at_once(
    client: openai.OpenAI, running: GatewayProcess, backend: BackendServer
) -> None:
    moved = {"control": RoutedVariant(version="town:v3", weight=1)}
    running.follow(routes(backend.url, generation=2, variants=moved))
    assert client.chat.completions.create(model="town", messages=HELLO).model == "town:v3"
    assert last(running)["generation"] == 2
    (running.paths.deployment("town").routes).write_text("{")
    with running.client() as http:
        until(lambda: "damaged" in http.get("/readyz").text)
    assert client.chat.completions.create(model="town", messages=HELLO).model == "town:v3"
    running.follow(routes(backend.url, generation=3))
    assert "the routing table works again" in running.log()
