"""The gateway in front of the real vLLM: the answers are vLLM's, and each is in the journal."""

from collections.abc import Iterator
from typing import Any

import openai
import orjson
import pytest

from llmops.feedback.identity import bare
from llmops.serving.client import answer, request
from llmops.serving.endpoint import Endpoint
from llmops.serving.supervisor import Supervisor
from llmops.store.paths import ProjectPaths

pytestmark = pytest.mark.engine
PROMPTS = ("Which river flows past Abbern?", "Hello", "What stands in Abbern?")


@pytest.fixture(scope="module")
def client(town_server: Supervisor) -> Iterator[openai.OpenAI]:
    url = f"{town_server.endpoint.url}/v1"
    with openai.OpenAI(base_url=url, api_key="unused", max_retries=0) as found:
        yield found


def record(server: Supervisor, inference: str) -> dict[str, Any]:
    """What the journal holds of an answer now, when the client has just got it."""
    root = server.paths.root.parent.parent.parent
    files = ProjectPaths(root).journal.glob("*/*.jsonl")
    lines = [line for file in files for line in file.read_bytes().splitlines()]
    wanted = bare(inference).encode()
    return next(orjson.loads(line) for line in lines if wanted in line)


def first_backend(server: Supervisor) -> Endpoint:
    """That of the town's own base: other tests may have had a second one started."""
    return next(iter(server.backends.values()))


def asked(prompt: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": prompt}], "max_tokens": 12, "temperature": 0}


@pytest.mark.parametrize("prompt", PROMPTS)
def test_an_answer_is_the_one_that_vllm_gives(
    town_server: Supervisor, client: openai.OpenAI, prompt: str
) -> None:
    through = client.chat.completions.create(model="town", user="ann", **asked(prompt))
    kept = record(town_server, through.id)
    backend = first_backend(town_server)
    with backend.client() as direct:
        found = answer(direct, request(through.model, prompt, max_tokens=12, temperature=0.0))
    assert through.choices[0].message.content == found.text == kept["choices"][0]["text"]
    assert through.usage is not None
    assert through.usage.completion_tokens == found.tokens == kept["completion_tokens"]
    assert through.model in town_server.variants.values()
    assert (kept["version"], kept["error"]) == (through.model, None)
    assert kept["unit"].startswith("user:")


def test_a_stream_is_the_same_answer(town_server: Supervisor, client: openai.OpenAI) -> None:
    for version in town_server.variants.values():
        whole = client.chat.completions.create(model=version, **asked(PROMPTS[0]))
        chunks = list(
            client.chat.completions.create(model=version, stream=True, **asked(PROMPTS[0]))
        )
        text = "".join(c.choices[0].delta.content or "" for c in chunks)
        kept = record(town_server, chunks[0].id)
        assert text == whole.choices[0].message.content == kept["choices"][0]["text"]
        assert {(c.id, c.model) for c in chunks} == {(f"chatcmpl-{kept['id']}", version)}
        assert all(c.usage is None for c in chunks)
        assert kept["completion_tokens"] > 0


def test_vllm_makes_the_same_id_from_ours(town_server: Supervisor) -> None:
    """So that vLLM's own log, too, tells which inference it speaks of."""
    backend = first_backend(town_server)
    version = next(iter(town_server.variants.values()))
    with backend.client() as direct:
        headers = {"X-Request-Id": "0123456789"}
        body = {"model": version, **asked("Hello")}
        told = direct.post("/v1/chat/completions", json=body, headers=headers).json()
    assert told["id"] == "chatcmpl-0123456789"


def test_a_mistake_of_the_client_is_told_by_vllm(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(model="town", messages=[], temperature=-5)


def test_two_answers_side_by_side(town_server: Supervisor, client: openai.OpenAI) -> None:
    found: Any = client.chat.completions.create(
        model="town", extra_body={"side_by_side": True}, **asked(PROMPTS[0])
    )
    kept = [record(town_server, one) for one in found.side_by_side["inference_ids"]]
    assert [choice.message.content for choice in found.choices] == [
        one["choices"][0]["text"] for one in kept
    ]
    assert len({one["group"] for one in kept}) == 1
