"""Getting an answer: a task that fills the last turn of a conversation, and those who follow it.

The task belongs to no request: it goes on when the page is reloaded, and is found again. Stopping
it ends the work at the backend.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator

from llmops.ui.client import Problem
from llmops.ui.conversation import Answer, Conversation, Turn
from llmops.ui.gateway import Gateway, Piece

LOG = logging.getLogger("llmops.ui")
FRAME_SECONDS = 0.08
"""Between two pictures of an answer that is being written."""
MOST_CHARACTERS = 400_000


def ask(conversation: Conversation, gateway: Gateway, question: str) -> None:
    """Begin a turn. Raises Problem while another answer is written, or two wait for a vote."""
    _free(conversation)
    if conversation.undecided:
        raise Problem("which of the two answers was better?", fix="vote first, then go on")
    count = 2 if conversation.asked.side_by_side else 1
    conversation.turns.append(Turn(question, [Answer() for _ in range(count)]))
    _begin(conversation, gateway, None)


def again(conversation: Conversation, gateway: Gateway) -> None:
    """Answer the last question anew; the gateway is told that the new answer took the old one's
    place. Raises Problem."""
    _free(conversation)
    if not conversation.turns:
        raise Problem("there is no answer yet")
    turn = conversation.turns[-1]
    if turn.blind and turn.answers[0].state == "done":
        raise Problem("two answers are compared, not regenerated")
    old = turn.answers
    turn.answers = [Answer() for _ in old]
    turn.vote = turn.names = ""
    replaced = old[0] if len(old) == 1 and old[0].rateable else None
    turn.earlier += [one for one in old if one.text]
    _begin(conversation, gateway, replaced)


def stop(conversation: Conversation) -> None:
    """What came so far stays."""
    if conversation.task is not None:
        conversation.task.cancel()


async def follow(conversation: Conversation) -> AsyncIterator[None]:
    """Once at the beginning, then whenever there is something new, until nothing is to come."""
    seen = conversation.version
    yield
    while conversation.moving:
        if conversation.version == seen:
            await conversation.changed.wait()
        if conversation.moving:
            await asyncio.sleep(FRAME_SECONDS)
        seen = conversation.version
        yield


def _free(conversation: Conversation) -> None:
    if conversation.live:
        raise Problem("an answer is being written", fix="stop it first, or wait")


def _begin(conversation: Conversation, gateway: Gateway, replaced: Answer | None) -> None:
    turn = conversation.turns[-1]
    conversation.task = asyncio.create_task(_fill(conversation, gateway, turn, replaced))
    conversation.task.add_done_callback(lambda _: conversation.tell())


async def _fill(
    conversation: Conversation, gateway: Gateway, turn: Turn, replaced: Answer | None
) -> None:
    try:
        asked = gateway.answers(conversation.body(), conversation.session)
        async with contextlib.aclosing(asked) as pieces:
            async for piece in pieces:
                _take(turn, piece)
                conversation.tell()
        _end(turn, "done")
        if replaced is not None:
            await gateway.rate(_regenerated(conversation, turn.answers[0], replaced))
    except asyncio.CancelledError:
        _end(turn, "stopped")
    except Problem as problem:
        _end(turn, "failed", problem)
    except Exception as error:  # what a server of others sends, a question that is no text
        LOG.warning("an answer of %s broke", conversation.asked.url, exc_info=error)
        what = f"the answer could not be read: {type(error).__name__}"
        _end(turn, "failed", Problem(what, fix="the UI's log says more"))


def _take(turn: Turn, piece: Piece) -> None:
    now = time.monotonic()
    if len(piece.ids) == len(turn.answers):
        for answer, id in zip(turn.answers, piece.ids, strict=True):
            answer.id = answer.id or id
    if not turn.blind:
        turn.answers[0].model = piece.model or turn.answers[0].model
        turn.answers[0].tokens = piece.tokens or turn.answers[0].tokens
    if piece.index >= len(turn.answers):
        return
    answer = turn.answers[piece.index]
    if piece.text:
        answer.first = answer.first or now
        answer.state = "streaming"
        answer.text += piece.text
    if piece.finished:
        answer.ended = answer.ended or now
    if len(answer.text) > MOST_CHARACTERS:
        raise Problem(f"the answer has more than {MOST_CHARACTERS:,} characters")


def _end(turn: Turn, state: str, problem: Problem | None = None) -> None:
    """What is already over stays as it is."""
    for answer in turn.answers:
        if answer.live:
            answer.state = state
            answer.problem = problem
            answer.ended = answer.ended or time.monotonic()


def _regenerated(conversation: Conversation, new: Answer, old: Answer) -> dict[str, str]:
    event = {"kind": "regenerate", "inference_id": new.id, "replaces": old.id}
    return event | ({"user": conversation.asked.user} if conversation.asked.user else {})
