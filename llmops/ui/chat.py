"""Chat: ask one variant, or two side by side and blind; each vote is a feedback event."""

import math
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
    """The tab's components and what they do."""

    def __init__(self, ui: Ui, on: Parts) -> None:
        self.found = Conversations()
        page = [on.past, on.now, on.box]
        """What shows a conversation."""
        writing = [on.writer, on.text, on.composer]
        ui.on_show(self.show, [on.deployment, on.mode], [*on.choice, *page, *writing])
        ui.on(on.deployment.input, self.choose, [on.deployment, on.mode], on.choice)
        ui.on(on.mode.input, self.choose, [on.deployment, on.mode], on.choice)
        ui.on(on.box.submit, self.send, [on.box, *on.asking], page)
        ui.on(on.box.stop, self.stop)
        ui.on_do("chat_again", self.again, outputs=page)
        ui.on_do("chat_vote", self.vote, outputs=page)
        ui.on_do("chat_thumb", self.thumb, outputs=page)
        ui.on_do("chat_edit", self.edit, outputs=writing)
        ui.on_do("chat_comment", self.comment, outputs=writing)
        ui.on(on.save.click, self.save, [on.text], [*writing, *page])
        ui.on(on.cancel.click, self.cancel, outputs=writing)

    async def show(self, ask: Ask, deployment: str, mode: str) -> AsyncIterator[Shown | None]:
        """Of `?chat=ID` that conversation; else an empty page, for `?deployment=&model=&mode=`."""
        wanted = ask.query.get("chat", "")
        conversation = self.found.find(wanted, ask.api.key)
        if conversation is not None and self.found.looked_at(ask.session) == wanted:
            yield None  # it is there already; what is on its way to the page may be newer than this
            return
        self.found.look(ask.session, conversation.id if conversation else "")
        asked = conversation.asked if conversation else None
        mode = ask.query.get("mode") or (_mode(asked) if asked else mode)
        name = asked.deployment if asked else ask.query.get("deployment") or deployment
        model = asked.model if asked else ask.query.get("model")
        nothing = empty(*_GONE) if wanted else empty(*_EMPTY)
        page = _shown(conversation) if conversation else [nothing, "", _box(None)]
        try:
            choice = await self._choice(ask, name, mode, model)
        except Problem:  # what was said is still there to be read
            yield [*[gr.skip()] * 3, *page, *_no_writing()]
            raise
        yield [*choice, *page, *_no_writing()]
        if conversation is not None and conversation.moving:
            async for page in self._follow(ask, conversation):
                yield [*[gr.skip()] * 3, *page, *[gr.skip()] * 3]

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

    async def send(self, ask: Ask, text: str, *asking: Any) -> AsyncIterator[Shown]:
        """The first question begins a conversation, with an address of its own."""
        question = (text or "").strip()
        if not question:
            raise Problem("there is nothing to ask yet")
        asked = _asked(await places(ask.api), *asking)
        conversation = self.found.find(self.found.looked_at(ask.session), ask.api.key)
        new = conversation is None
        if conversation is None:
            conversation = self.found.begin(ask.api.key, asked)
            self.found.look(ask.session, conversation.id)
        elif not conversation.live:
            conversation.asked = asked
        answering.ask(conversation, Gateway(ask.api, asked.url), question)
        if new:
            ask.go(tab="chat", chat=conversation.id)
        yield _shown(conversation, clear=True)
        async for shown in self._follow(ask, conversation):
            yield shown

    async def stop(self, ask: Ask) -> None:
        answering.stop(self._conversation(ask))

    async def again(self, ask: Ask) -> AsyncIterator[Shown]:
        conversation = self._conversation(ask)
        answering.again(conversation, _gateway(ask, conversation))
        async for shown in self._follow(ask, conversation):
            yield shown

    async def vote(self, ask: Ask) -> AsyncIterator[Shown]:
        conversation, turn, choice = self._turn(ask)
        await votes.vote(conversation, _gateway(ask, conversation), turn, choice)
        votes.reveal(conversation, ask.api, turn)
        async for shown in self._follow(ask, conversation):
            yield shown

    async def thumb(self, ask: Ask) -> Shown:
        conversation, turn, value = self._turn(ask)
        await ratings.thumb(conversation, _gateway(ask, conversation), _one(turn), value)
        return _rated(conversation)

    async def edit(self, ask: Ask) -> Shown:
        return self._write(ask, "edit")

    async def comment(self, ask: Ask) -> Shown:
        return self._write(ask, "comment")

    def _write(self, ask: Ask, kind: str) -> Shown:
        """Open the editor in the composer's place."""
        conversation, turn, _ = self._turn(ask)
        conversation.writing = (kind, conversation.turns.index(turn))
        edits = kind == "edit"
        label = "What the answer should have been" if edits else "Your comment on the answer"
        value = _one(turn).said if edits else ""
        text = gr.update(label=label, value=value, lines=6 if edits else 3)
        return [gr.update(visible=True), text, gr.update(visible=False)]

    async def save(self, ask: Ask, text: str) -> Shown:
        conversation = self._conversation(ask)
        if conversation.writing is None:
            raise Problem("that was saved already")
        kind, number = conversation.writing
        gateway, answer = _gateway(ask, conversation), _one(conversation.turn(number))
        rate = ratings.edit if kind == "edit" else ratings.comment
        await rate(conversation, gateway, answer, text or "")
        conversation.writing = None
        return [*_no_writing(), *_rated(conversation)]

    async def cancel(self, ask: Ask) -> Shown:
        self._conversation(ask).writing = None
        return _no_writing()

    async def _follow(self, ask: Ask, conversation: Conversation) -> AsyncIterator[Shown]:
        """What changes of the last turn, and at the end all of the page; until the page shows
        another conversation."""
        async for _ in answering.follow(conversation):
            if self.found.looked_at(ask.session) != conversation.id:
                return
            yield [gr.skip(), transcript.now(conversation), _box(conversation)]
        if self.found.looked_at(ask.session) == conversation.id:
            yield _shown(conversation)

    def _conversation(self, ask: Ask) -> Conversation:
        found = self.found.find(self.found.looked_at(ask.session), ask.api.key)
        if found is None:
            raise Problem("this conversation is over", fix="begin a new one")
        return found

    def _turn(self, ask: Ask) -> tuple[Conversation, Turn, str]:
        """What a button of the page is about: `2:up`."""
        conversation = self._conversation(ask)
        number, _, rest = ask.value.partition(":")
        return conversation, conversation.turn(number), rest


def _shown(conversation: Conversation, *, clear: bool = False) -> Shown:
    before, last = transcript.past(conversation), transcript.now(conversation)
    return [before, last, _box(conversation, clear=clear)]


def _rated(conversation: Conversation) -> Shown:
    """After a rating; what moves is left to those who follow it."""
    if conversation.moving:
        return [transcript.past(conversation), gr.skip(), gr.skip()]
    return _shown(conversation)


def _gateway(ask: Ask, conversation: Conversation) -> Gateway:
    return Gateway(ask.api, conversation.asked.url)


def _asked(
    found: list[Place],
    deployment: str,
    model: str | None,
    mode: str,
    user: str,
    system: str,
    temperature: str,
    most: str,
) -> Asked:
    """As the components say. Raises Problem."""
    place = named(found, deployment)
    blind = mode == BLIND
    tokens = _number(most, "the number of tokens", 1, 1e6)
    return Asked(
        deployment=place.name,
        url=place.url,
        model=place.name if blind else model or place.name,
        side_by_side=blind,
        user=(user or "").strip(),
        system=(system or "").strip(),
        temperature=_number(temperature, "the temperature", 0, 2),
        max_tokens=None if tokens is None else int(tokens),
    )


def _number(text: str | None, what: str, least: float, most: float) -> float | None:
    """None where nothing was written. Raises Problem."""
    written = (text or "").strip()
    if not written:
        return None
    try:
        found = float(written)
    except ValueError:
        found = math.nan
    if not least <= found <= most:
        raise Problem(f"{what} must be a number from {least:g} to {most:g}", where="Settings")
    return found


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
