"""What a served deployment answers, on the real vLLM; all on the session's one server."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from llmops.errors import Failed
from llmops.registry.manifest import Golden
from llmops.serving import golden
from llmops.serving.client import Stream, request
from llmops.serving.served import Served
from llmops.serving.supervisor import Supervisor
from tests.asked import ask
from tests.conftest import run_llmops

pytestmark = pytest.mark.engine

# What float32 on both sides was measured to differ by is 5e-6; the product allows 1e-2.
CLOSE = 1e-3


@pytest.fixture
def client(town_server: Supervisor) -> Iterator[httpx.Client]:
    """At vLLM itself, behind the gateway."""
    with town_server.backends[town_server.plan.loads[0].base.name].client() as client:
        yield client


@pytest.fixture
def adapter(town_server: Supervisor) -> Served:
    return town_server.plan.loads[0].adapters[0]


def compare(client: httpx.Client, served: Served, prompt: Golden, base: str | None) -> float:
    found = golden.check(client, served.name, [prompt], base=base, dtype="float32")
    return found.difference


def test_every_variant_answers_under_its_version(town_server: Supervisor) -> None:
    for version in town_server.variants.values():
        (found,) = ask(town_server.endpoint, version, ["Hello"], max_tokens=4)
        assert found.model == version
        assert found.finish_reason in ("stop", "length")


def test_tokens_and_log_probabilities_are_those_of_training(
    town_server: Supervisor, client: httpx.Client
) -> None:
    for served in town_server.plan.versions:
        assert served.golden, f"{served.name} was registered without golden prompts"
        base = town_server.plan.loads[0].base.name if served.kind == "adapter" else None
        for prompt in served.golden:
            assert compare(client, served, prompt, base) < CLOSE


def test_the_adapter_and_its_base_differ(
    town_server: Supervisor, client: httpx.Client, adapter: Served
) -> None:
    prompt = adapter.golden[0]
    ids = prompt.prompt_ids + prompt.completion_ids
    by_adapter = golden.logprobs(client, adapter.name, ids)
    by_base = golden.logprobs(client, town_server.plan.loads[0].base.name, ids)
    assert golden.difference(by_adapter, by_base) > CLOSE


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"prompt_ids": [1, 2, 3]}, "another chat template or tokenizer"),
        ({"swap": True}, "the adapter has no effect"),
        ({"base_logprobs": -30.0, "logprobs": -20.0}, "the base that is served is not the one"),
        ({"logprobs": -20.0}, "computes other log-probabilities"),
    ],
)
def test_each_kind_of_mismatch_is_told_apart(
    town_server: Supervisor,
    client: httpx.Client,
    adapter: Served,
    changed: dict[str, object],
    told: str,
) -> None:
    """As if the manifest had said otherwise: the server is right, the expectation is not."""
    prompt = adapter.golden[0]
    assert prompt.base_logprobs is not None
    if changed.pop("swap", False):
        changed = {"logprobs": prompt.base_logprobs, "base_logprobs": prompt.logprobs}
    count = len(prompt.logprobs)
    values = {k: [v] * count if isinstance(v, float) else v for k, v in changed.items()}
    with pytest.raises(Failed, match=told):
        compare(
            client, adapter, prompt.model_copy(update=values), town_server.plan.loads[0].base.name
        )


def test_many_questions_at_once_are_all_answered(town_server: Supervisor) -> None:
    versions = list(town_server.variants.values())
    for version in versions:
        found = ask(town_server.endpoint, version, [f"Question {n}" for n in range(48)])
        assert {one.model for one in found} == {version}


def test_a_stream_is_the_whole_answer(client: httpx.Client, adapter: Served) -> None:
    stream = Stream(client, request(adapter.name, "Hello", max_tokens=8, temperature=0))
    assert "".join(stream) == stream.answer.text
    assert stream.answer.tokens is not None


def test_a_model_that_is_not_served_is_an_error(client: httpx.Client) -> None:
    with pytest.raises(Failed, match="404"):
        list(Stream(client, request("nobody:v1", "Hello")))


def test_more_tokens_than_the_context_holds_is_an_error(
    client: httpx.Client, adapter: Served
) -> None:
    with pytest.raises(Failed, match="400"):
        list(Stream(client, request(adapter.name, "Hello", max_tokens=100_000)))


def test_chat_asks_the_variant(town_server: Supervisor, town_project: Path) -> None:
    variant, version = next(iter(town_server.variants.items()))
    file = town_server.plan.file
    done = run_llmops("chat", file, variant, "Hello", "--max-tokens", 4, "--json", cwd=town_project)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["model"] == version


def test_a_second_server_of_the_deployment_exits_2(
    town_server: Supervisor, town_project: Path
) -> None:
    done = run_llmops("serve", town_server.plan.file, cwd=town_project)
    assert done.returncode == 2
    assert "is being served already" in done.stderr


def test_a_port_in_use_exits_2_and_names_who_holds_it(
    town_server: Supervisor, town_project: Path
) -> None:
    file = town_project / "elsewhere.yaml"
    version = next(iter(town_server.variants.values()))
    file.write_text(f"name: elsewhere\nvariants:\n  only: {{model: '{version}'}}\n")
    port = town_server.endpoint.url.rpartition(":")[2]
    done = run_llmops("serve", file, "--port", port, cwd=town_project)
    assert done.returncode == 2
    assert f"port {port} is in use by process" in done.stderr
