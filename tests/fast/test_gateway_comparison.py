"""Two answers side by side: blind, both recorded, in an order that is recorded too."""

from collections.abc import Iterator
from typing import Any

import openai
import pytest

from llmops.gateway.routes import RoutedVariant
from tests.fast.backend_server import Asked, BackendServer, floods, well
from tests.fast.gateway_process import GatewayProcess, routes

HELLO: list[Any] = [{"role": "user", "content": "Hello"}]
TWO = {"side_by_side": True}


@pytest.fixture(autouse=True)
def _says_its_name(backend: BackendServer) -> None:
    backend.answer = says_its_name


@pytest.fixture(scope="module")
def client(running: GatewayProcess) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{running.url}/v1", api_key="unused", max_retries=0) as found:
        yield found


async def says_its_name(asked: Asked) -> None:
    """So that the test can tell the two apart where a client could not."""
    model = asked.body["model"]
    if asked.body.get("stream"):
        await asked.begin()
        await asked.chunk(model)
        await asked.chunk("", "stop")
        await asked.event(asked.shape([], usage={"prompt_tokens": 1, "completion_tokens": 2}))
        await asked.end()
    else:
        message = {"role": "assistant", "content": model}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        await asked.whole(asked.shape([choice], system_fingerprint=model))


def ask(client: openai.OpenAI, **more: Any) -> Any:
    return client.chat.completions.create(model="town", messages=HELLO, extra_body=TWO, **more)


def test_both_variants_answer_blind(client: openai.OpenAI, running: GatewayProcess) -> None:
    answer = ask(client)
    told, records = answer.side_by_side, running.records()[-2:]
    said = {answer.choices[i].index: answer.choices[i].message.content for i in (0, 1)}
    assert (answer.model, answer.system_fingerprint) == ("town", None)
    assert set(said.values()) == {"town:v1", "town:v2"}
    for record in records:
        assert told["inference_ids"][record["position"]] == record["id"]
        assert said[record["position"]] == record["version"]
        assert (record["group"], record["unit"]) == (told["group"], "")


def test_the_order_is_random(client: openai.OpenAI) -> None:
    first = [ask(client).choices[0].message.content for _ in range(24)]
    assert len(set(first)) == 2  # by chance the same 24 times: 1 in 8 million


def test_which_one_is_better_can_be_said(client: openai.OpenAI, running: GatewayProcess) -> None:
    ids = ask(client).side_by_side["inference_ids"]
    event = {"kind": "choice", "inference_ids": ids, "choice": "second"}
    with running.client() as http:
        http.post("/v1/feedback", json=event).raise_for_status()
    kept = running.records()[-1]
    assert [kept["inference"], kept["other"], kept["choice"]] == [*ids, "second"]


def test_a_comparison_is_not_rated_as_an_answer(
    client: openai.OpenAI, running: GatewayProcess
) -> None:
    answer = ask(client)
    with running.client() as http:
        for name in (answer.id, answer.side_by_side["group"]):
            event = {"kind": "thumbs", "inference_id": name, "value": "up"}
            refused = http.post("/v1/feedback", json=event)
            assert refused.status_code == 400
            assert "rate its `inference_ids`" in refused.json()["error"]["message"]


def test_streams_come_interleaved_and_end_once(
    client: openai.OpenAI, running: GatewayProcess
) -> None:
    chunks = list(ask(client, stream=True, stream_options={"include_usage": True}))
    told = chunks[0].side_by_side
    choices = [choice for chunk in chunks for choice in chunk.choices]
    said = {i: "".join(c.delta.content for c in choices if c.index == i) for i in (0, 1)}
    assert {c.id for c in chunks} == {f"chatcmpl-{told['group']}"}
    assert {c.model for c in chunks} == {"town"}
    assert [c.finish_reason for c in choices if c.finish_reason] == ["stop", "stop"]
    assert (chunks[-1].usage.prompt_tokens, chunks[-1].usage.completion_tokens) == (2, 4)
    for record in running.records()[-2:]:
        assert said[record["position"]] == record["version"]
        assert told["inference_ids"][record["position"]] == record["id"]


def test_the_stream_ends_with_done_once(running: GatewayProcess) -> None:
    body = {"model": "town", "messages": HELLO, "stream": True, **TWO}
    with running.client() as http:
        text = http.post("/v1/chat/completions", json=body).text
    assert text.count("[DONE]") == 1
    assert text.endswith("data: [DONE]\n\n")
    assert text.count('"side_by_side"') == 1
    assert "usage" not in text


@pytest.mark.parametrize("stream", [False, True])
def test_one_that_fails_fails_the_comparison(
    client: openai.OpenAI, running: GatewayProcess, backend: BackendServer, stream: bool
) -> None:
    async def one_fails(asked: Asked) -> None:
        if asked.body["model"] == "town:v1":
            await says_its_name(asked)
        elif asked.body.get("stream"):
            await asked.begin()
            asked.drop()
        else:
            await asked.whole({"error": {"message": "too hot"}}, 500)

    backend.answer = one_fails
    with pytest.raises(openai.APIError):
        list(ask(client, stream=stream))
    records = {record["version"]: record["error"] for record in running.recorded(2)[-2:]}
    assert set(records) == {"town:v1", "town:v2"}
    assert records["town:v2"]


@pytest.mark.parametrize("stream", [False, True])
def test_the_records_of_a_comparison_that_failed_say_so(
    client: openai.OpenAI, running: GatewayProcess, backend: BackendServer, stream: bool
) -> None:
    async def one_refuses(asked: Asked) -> None:
        if asked.body["model"] == "town:v1":
            await says_its_name(asked)
        else:
            await asked.whole({"error": {"message": "too hot"}}, 429)

    backend.answer = one_refuses
    with pytest.raises(openai.RateLimitError):
        ask(client, stream=stream)
    found = {r["version"]: (r["error"], r["status"]) for r in running.records()[-2:]}
    well = ("the other answer of the comparison failed", 429)
    assert found == {"town:v1": well, "town:v2": ("too hot", 429)}


def test_one_variant_is_asked_twice(
    client: openai.OpenAI, running: GatewayProcess, backend: BackendServer
) -> None:
    alone = {"control": RoutedVariant(version="town:v1", weight=1)}
    running.follow(routes(backend.url, generation=2, variants=alone))
    try:
        ids = ask(client).side_by_side["inference_ids"]
    finally:
        running.follow(routes(backend.url, generation=3))
    assert len(set(ids)) == 2
    assert [record["version"] for record in running.records()[-2:]] == ["town:v1"] * 2


def test_who_goes_away_without_reading_is_recorded(
    running: GatewayProcess, backend: BackendServer
) -> None:
    backend.answer = floods
    backend.stuck.clear()
    body = {"model": "town", "messages": HELLO, "stream": True, **TWO}
    before = len(running.records())
    with running.client() as http, http.stream("POST", "/v1/chat/completions", json=body):
        assert backend.stuck.wait(20)
    records = running.recorded(before + 2)[before:]
    assert [record["error"] for record in records] == ["client disconnected"] * 2


def test_what_makes_no_sense_is_refused(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="takes no `n`"):
        ask(client, n=2)
    wrong = {"side_by_side": "yes"}
    with pytest.raises(openai.BadRequestError, match="true or false"):
        client.chat.completions.create(model="town", messages=HELLO, extra_body=wrong)


def test_the_key_does_not_reach_the_backend(client: openai.OpenAI, backend: BackendServer) -> None:
    backend.answer = well
    ask(client)
    assert "side_by_side" not in backend.asked[-1].body
