"""A conversation: what is asked next, who may see it, and what a page tells before a vote."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from llmops.ui import answering, transcript, votes
from llmops.ui.client import Client, Problem
from llmops.ui.conversation import Answer, Asked, Conversation, Conversations, Turn
from llmops.ui.gateway import Gateway, Model
from llmops.ui.places import Place, choices, named

ASKED = Asked("town", "http://127.0.0.1:9", "town", side_by_side=True)


def answer(text: str, **given: Any) -> Answer:
    return Answer(**({"text": text, "id": f"id-{text}", "state": "done"} | given))


def compared(vote: str = "") -> Conversation:
    """Two answers, whose names the UI's process could know already."""
    found = Conversations().begin(None, ASKED)
    sides = [answer("left", model="town:v2"), answer("right", model="town:v3", variant="candidate")]
    found.turns.append(Turn("Which?", sides, vote=vote, names="told" if vote else ""))
    return found


def test_before_the_vote_a_page_tells_neither_names_nor_ids() -> None:
    page = transcript.now(compared())
    assert "left" in page
    assert "right" in page
    assert "Tie" in page
    for secret in ("town:v", "candidate", "id-", compared().session):
        assert secret not in page


def test_after_the_vote_the_names_stand_beside_the_answers() -> None:
    page = transcript.now(compared("second"))
    assert "candidate" in page
    assert "town:v3" in page
    assert "chat_vote" not in page
    assert "id-" not in page


def test_a_conversation_waits_for_the_vote() -> None:
    gateway = Gateway(Client("http://127.0.0.1:9").api(), ASKED.url)
    with pytest.raises(Problem, match="which of the two"):
        answering.ask(compared(), gateway, "And now?")


@pytest.mark.parametrize(
    ("vote", "kept"),
    [("first", "left"), ("second", "right"), ("tie", "left"), ("both_bad", "left")],
)
def test_a_conversation_goes_on_with_the_better_answer(vote: str, kept: str) -> None:
    found = compared(vote)
    found.turns.append(Turn("And now?", [Answer()]))
    said = [message["content"] for message in found.body()["messages"]]
    assert said == ["Which?", kept, "And now?"]


def test_a_vote_that_was_not_kept_can_be_cast_again() -> None:
    found = compared()
    gateway = Gateway(Client("http://127.0.0.1:9").api(), ASKED.url)
    with pytest.raises(Problem, match="does not answer"):
        asyncio.run(votes.vote(found, gateway, found.turns[0], "tie"))
    assert found.turns[0].votable


@pytest.mark.parametrize("choice", ["", "third", "first:second"])
def test_only_the_four_votes_are_votes(choice: str) -> None:
    found = compared()
    gateway = Gateway(Client("http://127.0.0.1:9").api(), ASKED.url)
    with pytest.raises(Problem, match="no vote"):
        asyncio.run(votes.vote(found, gateway, found.turns[0], choice))


def test_an_edit_takes_the_answers_place_in_what_is_asked_next() -> None:
    found = Conversations().begin(None, Asked("town", "", "town", system="Be brief."))
    found.turns += [Turn("Who?", [answer("Ann", edit="Bea")]), Turn("Sure?", [Answer()])]
    said = [message["content"] for message in found.body()["messages"]]
    assert said == ["Be brief.", "Who?", "Bea", "Sure?"]


def test_a_question_that_failed_is_not_repeated_to_the_model() -> None:
    found = Conversations().begin(None, ASKED)
    failed = Answer(state="failed", problem=Problem("no"))
    found.turns += [Turn("lost", [failed]), Turn("Who?", [Answer()])]
    assert [message["content"] for message in found.body()["messages"]] == ["Who?"]


def test_a_question_that_cannot_be_sent_is_told_and_not_waited_for() -> None:
    """Half of an emoji, as a box that is full cuts it, has no bytes."""

    async def asked() -> Answer:
        found = Conversations().begin(None, replace(ASKED, side_by_side=False))
        gateway = Gateway(Client("http://127.0.0.1:9").api(), ASKED.url)
        answering.ask(found, gateway, "half of it: \ud83d")
        assert found.task is not None
        await found.task
        return found.turns[0].answers[0]

    one = asyncio.run(asked())
    assert one.state == "failed"
    assert "could not be read: UnicodeEncodeError" in str(one.problem)


def test_settings_are_sent_only_where_they_are_set() -> None:
    found = Conversations().begin(None, Asked("town", "", "candidate", temperature=0.0))
    found.turns.append(Turn("Who?", [Answer()]))
    body = found.body()
    assert body.keys() == {"model", "messages", "temperature"}


def test_nobody_finds_what_another_one_began() -> None:
    all_ = Conversations()
    mine = all_.begin("key-of-ann", ASKED)
    assert all_.find(mine.id, "key-of-ann") is mine
    assert all_.find(mine.id, "key-of-bea") is None
    assert all_.find(mine.id, None) is None


def test_the_oldest_conversations_go_first() -> None:
    all_ = Conversations(most=2)
    first, second = all_.begin(None, ASKED), all_.begin(None, ASKED)
    all_.find(first.id, None)
    third = all_.begin(None, ASKED)
    kept = [one for one in (first, second, third) if all_.find(one.id, None)]
    assert kept == [first, third]


def test_a_turn_that_is_not_there_is_a_problem() -> None:
    for number in ("7", "-1", "x", "", "٣"):
        with pytest.raises(Problem):
            compared().turn(number)


def test_a_browser_names_a_deployment_and_never_an_address() -> None:
    with pytest.raises(Problem, match="does not run"):
        named([Place("town", "http://127.0.0.1:8000")], "http://evil.invalid")


def test_the_split_is_offered_first_then_its_variants() -> None:
    models = [Model("town:v2", "version", "town:v2"), Model("candidate", "variant", "town:v3")]
    found = choices([*models, Model("town", "deployment", None)])
    assert [name for _, name in found] == ["town", "candidate", "town:v2"]
    assert found[1][0] == "candidate · town:v3"


def test_a_rated_answer_shows_its_thumb_as_pressed() -> None:
    found = Conversations().begin(None, Asked("town", "", "town"))
    found.turns.append(Turn("Who?", [answer("Ann", thumb="down")]))
    page = transcript.now(found)
    assert page.count('aria-pressed="true"') == 1
    assert 'data-value="0:down" ' in page
