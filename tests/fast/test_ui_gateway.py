"""The UI's side of the gateway: streams as they are cut, errors in OpenAI's shape, stopping."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest

from llmops.ui import answering, ratings
from llmops.ui.client import Client, Problem
from llmops.ui.conversation import Asked, Conversation, Conversations
from llmops.ui.gateway import Gateway, events, piece
from tests.fast.backend_server import Asked as Request
from tests.fast.backend_server import BackendServer, well

IDS = ["chatcmpl-" + "1" * 40, "chatcmpl-" + "2" * 40]


@pytest.fixture
def server() -> Iterator[BackendServer]:
    """Where a gateway would be: the same protocol, without a project behind it."""
    found = BackendServer()
    found.answer = answers
    with found.running():
        yield found


async def answers(asked: Request) -> None:
    asked.headers.setdefault("x-request-id", f"{len(asked.body.get('messages', []))}" * 40)
    if asked.path.endswith("/feedback"):
        await asked.whole({"object": "feedback", "ids": ["e"]})
        return
    await well(asked)


def talk(server: BackendServer, do: Callable[[Conversation, Gateway], Awaitable[Any]]) -> Any:
    """Run `do` with a new conversation, in an event loop of its own."""

    async def run() -> Any:
        client = Client("http://127.0.0.1:9")
        asked = Asked("town", server.url, "town", user="ann")
        try:
            gateway = Gateway(client.api(), server.url)
            return await do(Conversations().begin(None, asked), gateway)
        finally:
            await client.close()

    return asyncio.run(run())


async def answered(conversation: Conversation, gateway: Gateway, question: str = "Who?") -> None:
    answering.ask(conversation, gateway, question)
    async for _ in answering.follow(conversation):
        pass


def read(*pieces: bytes) -> list[dict[str, Any]]:
    async def given() -> AsyncIterator[bytes]:
        for one in pieces:
            yield one

    async def run() -> list[dict[str, Any]]:
        return [event async for event in events(given())]

    return asyncio.run(run())


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_stream_reads_the_same_however_it_is_cut(size: int) -> None:
    text = {"a": "one\u2028two \n\n three ü"}
    raw = f": hello\n\ndata: {json.dumps(text, ensure_ascii=False)}\n\ndata: [DONE]\n\n".encode()
    assert read(*(raw[at : at + size] for at in range(0, len(raw), size))) == [text]


def test_an_error_in_mid_stream_is_told_in_its_own_words() -> None:
    with pytest.raises(Problem, match="the model is out of luck"):
        read(b'data: {"error": {"message": "the model is out of luck", "code": "x"}}\n\n')


def test_a_stream_that_only_stops_is_no_answer() -> None:
    with pytest.raises(Problem, match="broke off"):
        read(b'data: {"choices": []}\n\n')


def test_a_comparison_tells_the_ids_of_both() -> None:
    chunk = {"id": "group", "side_by_side": {"inference_ids": IDS}, "choices": [{"index": 1}]}
    found = piece(chunk)
    assert (found.index, list(found.ids)) == (1, IDS)


def test_an_answer_is_streamed_and_measured(server: BackendServer) -> None:
    async def do(conversation: Conversation, gateway: Gateway) -> None:
        await answered(conversation, gateway)
        answer = conversation.turns[0].answers[0]
        assert (answer.state, answer.text) == ("done", "The Abb flows there.")
        assert (answer.model, answer.tokens) == ("town", 4)
        assert server.asked[0].body["user"] == "ann"
        assert server.asked[0].headers["x-session-id"] == conversation.session

    talk(server, do)


def test_stopping_ends_the_work_and_keeps_what_came(server: BackendServer) -> None:
    async def hangs(asked: Request) -> None:
        asked.headers["x-request-id"] = "0" * 40
        await asked.begin()
        await asked.chunk("The first")
        await asyncio.Event().wait()

    async def do(conversation: Conversation, gateway: Gateway) -> None:
        server.answer = hangs
        answering.ask(conversation, gateway, "Who?")
        async for _ in answering.follow(conversation):
            if conversation.turns[0].answers[0].text:
                answering.stop(conversation)
        answer = conversation.turns[0].answers[0]
        assert (answer.state, answer.text) == ("stopped", "The first")
        assert not answer.rateable
        assert await asyncio.to_thread(server.dropped.wait, 10)

    talk(server, do)


def test_a_refusal_stands_where_the_answer_would(server: BackendServer) -> None:
    async def refuses(asked: Request) -> None:
        error = {"message": "There is no model `x`", "param": "model", "code": "model_not_found"}
        await asked.whole({"error": error}, 404)

    async def do(conversation: Conversation, gateway: Gateway) -> None:
        server.answer = refuses
        await answered(conversation, gateway)
        problem = conversation.turns[0].answers[0].problem
        assert problem is not None
        assert (problem.what, problem.where) == ("There is no model `x`", "`model`")
        assert problem.status == 404

    talk(server, do)


def test_nobody_there_is_said_with_what_to_do(server: BackendServer) -> None:
    async def do(conversation: Conversation, gateway: Gateway) -> None:
        away = Gateway(gateway._api, "http://127.0.0.1:9")
        await answered(conversation, away)
        problem = conversation.turns[0].answers[0].problem
        assert problem is not None
        assert "does not answer" in problem.what
        assert "llmops serve" in problem.fix

    talk(server, do)


def test_an_answer_that_was_regenerated_is_told_as_replaced(server: BackendServer) -> None:
    async def do(conversation: Conversation, gateway: Gateway) -> None:
        await answered(conversation, gateway)
        conversation.turns[0].answers[0].id = "old"
        answering.again(conversation, gateway)
        async for _ in answering.follow(conversation):
            pass
        new = conversation.turns[0].answers[0].id
        told = server.asked[-1].body
        assert told["kind"] == "regenerate"
        assert told["user"] == "ann"
        assert (told["inference_id"], told["replaces"]) == (new, "old")
        assert [one.id for one in conversation.turns[0].earlier] == ["old"]

    talk(server, do)


def test_a_rating_says_who_and_which_and_counts_once(server: BackendServer) -> None:
    async def do(conversation: Conversation, gateway: Gateway) -> None:
        await answered(conversation, gateway)
        answer = conversation.turns[0].answers[0]
        await ratings.thumb(conversation, gateway, answer, "up")
        await ratings.thumb(conversation, gateway, answer, "up")
        await ratings.edit(conversation, gateway, answer, "The Lann.")
        thumb, edit = (asked.body for asked in server.asked[1:])
        assert (thumb["kind"], thumb["value"], thumb["user"]) == ("thumbs", "up", "ann")
        assert thumb["inference_id"] == answer.id
        assert len(thumb["event_id"]) == 32
        assert (edit["kind"], edit["text"]) == ("edit", "The Lann.")

    talk(server, do)


def test_one_answer_at_a_time(server: BackendServer) -> None:
    async def do(conversation: Conversation, gateway: Gateway) -> None:
        answering.ask(conversation, gateway, "Who?")
        with pytest.raises(Problem, match="being written"):
            answering.ask(conversation, gateway, "And who else?")
        answering.stop(conversation)
        async for _ in answering.follow(conversation):
            pass

    talk(server, do)
