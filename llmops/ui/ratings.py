"""What a person says of answers, as feedback events at the gateway (docs/rating.md)."""

from typing import Any

from llmops.ui.client import Problem
from llmops.ui.conversation import Answer, Conversation
from llmops.ui.gateway import Gateway


async def thumb(conversation: Conversation, gateway: Gateway, answer: Answer, value: str) -> None:
    """value: up or down. Raises Problem; so do all of these."""
    if value not in ("up", "down"):
        raise Problem("a thumb goes up or down")
    if answer.thumb == value:
        return
    await _rate(conversation, gateway, answer, {"kind": "thumbs", "value": value})
    answer.thumb = value


async def edit(conversation: Conversation, gateway: Gateway, answer: Answer, text: str) -> None:
    """What the answer should have been; the conversation goes on with it."""
    if not text.strip():
        raise Problem("an edit is the whole answer as it should have been; this one is empty")
    if text == answer.said:
        return
    await _rate(conversation, gateway, answer, {"kind": "edit", "text": text})
    answer.edit = text


async def comment(conversation: Conversation, gateway: Gateway, answer: Answer, text: str) -> None:
    if not text.strip():
        raise Problem("the comment is empty")
    await _rate(conversation, gateway, answer, {"kind": "comment", "text": text})
    answer.comments.append(text)


async def _rate(
    conversation: Conversation, gateway: Gateway, answer: Answer, event: dict[str, Any]
) -> None:
    if not answer.rateable:
        raise Problem("only whole answers can be rated")
    await gateway.rate({**event, "inference_id": answer.id, **by(conversation)})
    conversation.tell()


def by(conversation: Conversation) -> dict[str, str]:
    """Who rates, where the conversation names somebody."""
    return {"user": conversation.asked.user} if conversation.asked.user else {}
