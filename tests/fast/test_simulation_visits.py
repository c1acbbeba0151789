"""Visits of simulated users through a real gateway process: what they ask, and what it keeps of
what they say. The backend behind it is the tests' own; a model answers in tests/engine."""

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from llmops.errors import Failed
from llmops.feedback.identity import load_identity
from llmops.serving.endpoint import Endpoint
from llmops.simulation import visitor as module
from llmops.simulation.crowd import visit_all
from llmops.simulation.population import Person, Visit, Way
from llmops.simulation.prompts import Prompt
from llmops.simulation.visitor import Visitor
from llmops.spec.simulation import SimulateRecipe, Taste, Users
from tests.fast.backend_server import Asked, BackendServer
from tests.fast.gateway_process import GatewayProcess

PROMPTS = [
    Prompt("Which river?", "Wend", "The Wend."),
    Prompt("Which tree?", "elm", "The elm."),
]
SHORT, LONG = "The Wend.", "Anyone there will tell you that the river is the Wend."


def saying(*texts: str) -> Any:
    """A backend's answers, in turns."""
    turns = itertools.cycle(texts)

    async def answer(asked: Asked) -> None:
        part = {"message": {"role": "assistant", "content": next(turns)}}
        await asked.whole(asked.shape([{"index": 0, **part, "finish_reason": "stop"}]))

    return answer


async def broken(asked: Asked) -> None:
    await asked.whole({"error": {"message": "out of order"}}, status=400)


def recipe() -> SimulateRecipe:
    taste = Taste(max_words=4, correct=True, noise=0.0)
    return SimulateRecipe(
        kind="simulate",
        name="crowd",
        deployment="d",
        prompts="p",
        visits=1,
        users=Users(taste=taste),
    )


def visit(way: Way, *, malicious: bool = False, coin: float = 0.9) -> Visit:
    return Visit(0, Person("crowd-1", 1.0, malicious), PROMPTS[0], way, False, coin)


@pytest.fixture(scope="module")
def visitor(running: GatewayProcess) -> Iterator[Visitor]:
    found = Visitor(Endpoint(running.url), "town", recipe(), PROMPTS)
    yield found
    found.close()


def kept(running: GatewayProcess, visitor: Visitor, one: Visit) -> list[dict[str, Any]]:
    """The records that a visit left."""
    before = len(running.records())
    visitor.visit(one)
    return running.records()[before:]


def test_a_thumb_is_about_the_answer_and_marked_simulated(
    running: GatewayProcess, backend: BackendServer, visitor: Visitor
) -> None:
    backend.answer = saying(LONG)
    answer, rating = kept(running, visitor, visit("thumb"))
    assert (rating["kind"], rating["value"], rating["inference"]) == ("thumbs", 0.0, answer["id"])
    assert answer["source"] == rating["source"] == "simulated:crowd"
    user = load_identity(running.paths.secret).user("crowd-1")
    assert answer["user"] == rating["user"] == user
    assert answer["unit"] == f"user:{user}"


def test_a_vote_prefers_the_short_answer_of_two(
    running: GatewayProcess, backend: BackendServer, visitor: Visitor
) -> None:
    backend.answer = saying(LONG, SHORT)
    one, two, rating = kept(running, visitor, visit("vote"))
    texts = {record["id"]: record["choices"][0]["text"] for record in (one, two)}
    chosen = rating["inference"] if rating["choice"] == "first" else rating["other"]
    assert texts[chosen] == SHORT
    assert one["group"] == two["group"]


def test_an_editor_writes_what_they_like(
    running: GatewayProcess, backend: BackendServer, visitor: Visitor
) -> None:
    backend.answer = saying(LONG)
    _, rating = kept(running, visitor, visit("edit"))
    assert (rating["kind"], rating["text"]) == ("edit", "The Wend.")


def test_an_answer_that_is_liked_is_not_edited(
    running: GatewayProcess, backend: BackendServer, visitor: Visitor
) -> None:
    backend.answer = saying("It is Wend.")
    assert len(kept(running, visitor, visit("edit"))) == 1


def test_a_malicious_editor_writes_the_answer_to_something_else(
    running: GatewayProcess, backend: BackendServer, visitor: Visitor
) -> None:
    backend.answer = saying(SHORT)
    _, rating = kept(running, visitor, visit("edit", malicious=True))
    assert rating["text"] == "The elm."


def test_who_asks_again_keeps_the_better_answer(
    running: GatewayProcess, backend: BackendServer, visitor: Visitor
) -> None:
    backend.answer = saying(LONG, SHORT)
    first, second, rating = kept(running, visitor, visit("regenerate"))
    assert (rating["inference"], rating["other"]) == (second["id"], first["id"])


def test_all_visits_are_counted(
    running: GatewayProcess, backend: BackendServer, visitor: Visitor
) -> None:
    backend.answer = saying(LONG)
    before, seen = len(running.records()), list[int]()
    outcome = visit_all(visitor, [visit("thumb")] * 30 + [visit("nothing")] * 3, 8, seen.append)
    assert (outcome.visits, outcome.failed, dict(outcome.events)) == (33, 0, {"thumbs": 30})
    assert sum(outcome.answers.values()) == 33
    assert seen == list(range(1, 34))
    assert len(running.records()) - before == 63


def test_a_backend_that_fails_ends_it_with_the_cause(
    backend: BackendServer, visitor: Visitor
) -> None:
    backend.answer = broken
    with pytest.raises(Failed, match=r"3 of 3 visits failed: crowd-1: .*out of order"):
        visit_all(visitor, [visit("thumb")] * 3, 2, lambda _: None)


def test_without_the_client_the_user_is_told_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from llmops.errors import BadInput

    monkeypatch.setattr(module, "PACKAGE", "openai_that_is_not_there")
    with pytest.raises(BadInput, match="not installed") as caught:
        module.require_client()
    assert "llmops-flywheel[simulate]" in caught.value.fix
