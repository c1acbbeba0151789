"""Blind votes: which of two answers was better, and, only after that, whose they were.

Neither an inference id nor a version is sent to the browser before the vote is kept: who has an id
could look it up. The names come from the log, through control, so they are what was recorded.
"""

import asyncio
import time

from llmops.ui.client import Api, Problem
from llmops.ui.conversation import Answer, Conversation, Turn
from llmops.ui.gateway import Gateway
from llmops.ui.ratings import by

CHOICES = {"first": "A is better", "tie": "Tie", "both_bad": "Both bad", "second": "B is better"}
"""As the gateway calls them, and as people read them."""
REVEAL_SECONDS = 20.0
"""How long the log may take to have both answers."""
_LOOK_SECONDS = 0.4


async def vote(conversation: Conversation, gateway: Gateway, turn: Turn, choice: str) -> None:
    """Send it, once. Raises Problem; then it can be sent again."""
    if choice not in CHOICES:
        raise Problem("that is no vote")
    if not turn.votable:
        raise Problem("these two answers cannot be voted on (any more)")
    ids = [answer.id for answer in turn.answers]
    event = {"kind": "choice", "inference_ids": ids, "choice": choice}
    turn.vote, turn.names = choice, "waiting"  # at once, so that a second press does nothing
    try:
        await gateway.rate({**event, **by(conversation)})
    except BaseException:
        turn.vote = turn.names = ""
        raise
    finally:
        conversation.tell()


def reveal(conversation: Conversation, api: Api, turn: Turn) -> None:
    """Begin to find out which variant and version gave each answer of a turn that was voted on;
    `turn.names` says how that went."""
    if turn.vote:
        turn.revealing = asyncio.create_task(_reveal(api, turn, REVEAL_SECONDS))
        turn.revealing.add_done_callback(lambda _: conversation.tell())


async def _reveal(api: Api, turn: Turn, seconds: float) -> None:
    until = time.monotonic() + seconds
    while True:
        try:
            for answer in turn.answers:
                await _name(api, answer)
        except Problem as problem:
            if problem.status != 404 or time.monotonic() > until:
                turn.names = problem.what
                return
            await asyncio.sleep(_LOOK_SECONDS)
        else:
            turn.names = "told"
            return


async def _name(api: Api, answer: Answer) -> None:
    """As the log has it. Raises Problem."""
    if answer.model:
        return
    found = (await api.get(f"/feedback/{answer.id}")).get("inference")
    if not found:
        raise Problem("the log does not have this answer", status=404)
    answer.variant = str(found.get("variant") or "")
    answer.model = str(found.get("version") or "")
