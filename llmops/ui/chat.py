"""Chat: ask one variant, or two side by side and blind; each vote is a feedback event."""

from collections.abc import AsyncIterator
from typing import Any

import gradio as gr

from llmops.ui import answering, ratings, transcript, votes
from llmops.ui.chat_parts import PLACEHOLDER, Parts, parts
from llmops.ui.client import Problem
from llmops.ui.conversation import Answer, Asked, Conversation, Conversations, Turn
from llmops.ui.frame import Ask, Ui
from llmops.ui.gateway import Gateway
from llmops.ui.panel import empty
from llmops.ui.places import Place, choices, named, places

BLIND = "blind"
Shown = list[Any]


def build(ui: Ui) -> None:
    Chat(ui, parts())


class Chat:
    """The tab's components and what they do. The conversation in hand is named by a gr.State,
    which stays in this process."""

    def __init__(self, ui: Ui, on: Parts) -> None:
        self.found = Conversations()
        self.on = on
        self.page = [on.held, on.past, on.now, on.box]
        """What shows a conversation."""
        held, page = [on.held], self.page
        writing = [on.writer, on.text, on.composer]
        ui.on_show(self.show, [on.held, on.deployment, on.mode], [*on.choice, *page, *writing])
        ui.on(on.deployment.input, self.choose, [on.deployment, on.mode], on.choice)
        ui.on(on.mode.input, self.choose, [on.deployment, on.mode], on.choice)
        ui.on(on.box.submit, self.send, [on.box, *on.asking], page)
        ui.on(on.box.stop, self.stop, held)
        ui.on_do("chat_again", self.again, held, page)
        ui.on_do("chat_vote", self.vote, held, page)
        ui.on_do("chat_thumb", self.thumb, held, page)
        ui.on_do("chat_edit", self.edit, held, [*writing, on.held])
        ui.on_do("chat_comment", self.comment, held, [*writing, on.held])
        ui.on(on.save.click, self.save, [on.held, on.text], [*writing, *page])
        ui.on(on.cancel.click, self.cancel, held, writing)

    async def show(self, ask: Ask, held: str, deployment: str, mode: str) -> Shown:
        """Of `?chat=ID` that conversation; else an empty page, for `?deployment=&model=&mode=`."""
        wanted = ask.query.get("chat", "")
        conversation = self.found.find(wanted, ask.api.key)
        asked = conversation.asked if conversation else None
        mode = ask.query.get("mode") or (_mode(asked) if asked else mode)
        name = asked.deployment if asked else ask.query.get("deployment") or deployment
        model = asked.model if asked else ask.query.get("model")
        choice = await self._choice(ask, name, mode, model)
        if conversation is None:
            nothing = empty(*_GONE) if wanted else empty(*_EMPTY)
            return [*choice, "", nothing, "", _box(None), *_no_writing()]
        return [*choice, *self._shown(conversation), *_no_writing()]

    async def choose(self, ask: Ask, deployment: str, mode: str) -> Shown:
        return await self._choice(ask, deployment, mode, None)

    async def _choice(self, ask: Ask, name: str, mode: str, model: str | None) -> Shown:
        """The components to choose with, filled with what runs. Raises Problem."""
        found = await places(ask.api)
        if not found:
            raise Problem("nothing is served that could answer", fix="llmops serve DEPLOYMENT")
        place = next((one for one in found if one.name == name), found[0])
        offered = choices(await Gateway(ask.api, place.url).models())
        names = [one[1] for one in offered]
        chosen = model if model in names else names[0] if names else None
        return [
            gr.update(choices=[one.name for one in found], value=place.name),
            gr.update(choices=offered, value=chosen, visible=mode != BLIND),
            gr.update(value=BLIND if mode == BLIND else "one"),
        ]

    async def send(self, ask: Ask, text: str, held: str, *asking: Any) -> AsyncIterator[Shown]:
        """The first question begins a conversation, with an address of its own."""
        question = (text or "").strip()
        if not question:
            raise Problem("there is nothing to ask yet")
        asked = _asked(await places(ask.api), *asking)
        conversation = self.found.find(held, ask.api.key)
        new = conversation is None
        if conversation is None:
            conversation = self.found.begin(ask.api.key, asked)
        elif not conversation.live:
            conversation.asked = asked
        answering.ask(conversation, Gateway(ask.api, asked.url), question)
        if new:
            ask.go(tab="chat", chat=conversation.id)
        yield self._shown(conversation, clear=True)
        async for shown in self._follow(conversation):
            yield shown

    async def stop(self, ask: Ask, held: str) -> None:
        answering.stop(self._conversation(ask, held))

    async def again(self, ask: Ask, held: str) -> AsyncIterator[Shown]:
        conversation = self._conversation(ask, held)
        answering.again(conversation, self._gateway(ask, conversation))
        async for shown in self._follow(conversation):
            yield shown

    async def vote(self, ask: Ask, held: str) -> AsyncIterator[Shown]:
        conversation, turn, choice = self._turn(ask, held)
        await votes.vote(conversation, self._gateway(ask, conversation), turn, choice)
        votes.reveal(conversation, ask.api, turn)
        async for shown in self._follow(conversation):
            yield shown

    async def thumb(self, ask: Ask, held: str) -> Shown:
        conversation, turn, value = self._turn(ask, held)
        await ratings.thumb(conversation, self._gateway(ask, conversation), _one(turn), value)
        return self._shown(conversation)

    async def edit(self, ask: Ask, held: str) -> Shown:
        return self._write(ask, held, "edit")

    async def comment(self, ask: Ask, held: str) -> Shown:
        return self._write(ask, held, "comment")

    def _write(self, ask: Ask, held: str, kind: str) -> Shown:
        """Open the editor in the composer's place."""
        conversation, turn, _ = self._turn(ask, held)
        conversation.writing = (kind, conversation.turns.index(turn))
        edits = kind == "edit"
        label = "What the answer should have been" if edits else "Your comment on the answer"
        value = _one(turn).said if edits else ""
        text = gr.update(label=label, value=value, lines=6 if edits else 3)
        return [gr.update(visible=True), text, gr.update(visible=False), held]

    async def save(self, ask: Ask, held: str, text: str) -> Shown:
        conversation = self._conversation(ask, held)
        if conversation.writing is None:
            raise Problem("that was saved already")
        kind, number = conversation.writing
        gateway, answer = self._gateway(ask, conversation), _one(conversation.turn(number))
        rate = ratings.edit if kind == "edit" else ratings.comment
        await rate(conversation, gateway, answer, text or "")
        conversation.writing = None
        return [*_no_writing(), *self._shown(conversation)]

    async def cancel(self, ask: Ask, held: str) -> Shown:
        self._conversation(ask, held).writing = None
        return _no_writing()

    async def _follow(self, conversation: Conversation) -> AsyncIterator[Shown]:
        """What changes of the last turn; at the end all of the page."""
        async for _ in answering.follow(conversation):
            yield [gr.skip(), gr.skip(), transcript.now(conversation), _box(conversation)]
        yield self._shown(conversation)

    def _shown(self, conversation: Conversation, *, clear: bool = False) -> Shown:
        before, last = transcript.past(conversation), transcript.now(conversation)
        return [conversation.id, before, last, _box(conversation, clear=clear)]

    def _conversation(self, ask: Ask, held: str) -> Conversation:
        found = self.found.find(held, ask.api.key)
        if found is None:
            raise Problem("this conversation is over", fix="begin a new one")
        return found

    def _turn(self, ask: Ask, held: str) -> tuple[Conversation, Turn, str]:
        """What a button of the page is about: `2:up`."""
        conversation = self._conversation(ask, held)
        number, _, rest = ask.value.partition(":")
        return conversation, conversation.turn(number), rest

    def _gateway(self, ask: Ask, conversation: Conversation) -> Gateway:
        return Gateway(ask.api, conversation.asked.url)


def _asked(
    found: list[Place],
    deployment: str,
    model: str | None,
    mode: str,
    user: str,
    system: str,
    temperature: float | None,
    most: float | None,
) -> Asked:
    """As the components say. Raises Problem."""
    place = named(found, deployment)
    blind = mode == BLIND
    return Asked(
        deployment=place.name,
        url=place.url,
        model=place.name if blind else model or place.name,
        side_by_side=blind,
        user=(user or "").strip(),
        system=(system or "").strip(),
        temperature=temperature,
        max_tokens=int(most) if most else None,
    )


def _mode(asked: Asked) -> str:
    return BLIND if asked.side_by_side else "one"


def _one(turn: Turn) -> Answer:
    """The answer that thumbs and words are about. Raises Problem."""
    if turn.blind:
        raise Problem("two answers side by side are compared by a vote")
    return turn.answers[0]


def _box(conversation: Conversation | None, *, clear: bool = False) -> Any:
    """The composer: it sends, or stops what is being written."""
    live = conversation is not None and conversation.live
    value: dict[str, Any] = {"value": ""} if clear else {}
    undecided = conversation is not None and conversation.undecided
    return gr.update(
        submit_btn=False if live else "Send",
        stop_btn="Stop" if live else False,
        placeholder=_VOTE_FIRST if undecided else PLACEHOLDER,
        **value,
    )


def _no_writing() -> Shown:
    return [gr.update(visible=False), gr.update(value=""), gr.update(visible=True)]


_VOTE_FIRST = "Vote first, then ask on"
_EMPTY = (
    "Ask a question.",
    "One answer: rate it, edit it, ask for another. Side by side: two answers, and you say which "
    "is better before you learn whose they are. Either way it is kept as feedback.",
)
_GONE = (
    "That conversation is over.",
    "It was kept in the UI's memory only. Ask a question to begin a new one.",
)
