"""A conversation as it stands: questions, answers, what was said of them. Pure, but for the task
that gets the answer in hand.

It lives in the UI's memory, by an unguessable id that stands in the address bar; so reloading a
page finds it again, also in the middle of an answer. What must outlive the UI is at the gateway.
"""

import asyncio
import secrets
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

from llmops.ui.client import Problem

MOST = 500
"""Conversations kept; the one that was not used for longest goes first."""
_PAGES = 5_000
"""Of browsers, of which is known what they show."""


@dataclass
class Answer:
    """id: of the inference, the right to rate it, which never leaves this process. model: the
    version, once it may be known; variant: as the log tells it after a vote. state: waiting,
    streaming, done, stopped or failed. Times: seconds on the monotonic clock."""

    text: str = ""
    id: str = ""
    model: str = ""
    variant: str = ""
    state: str = "waiting"
    problem: Problem | None = None
    asked: float = field(default_factory=time.monotonic)
    first: float | None = None
    ended: float | None = None
    tokens: int | None = None
    thumb: str = ""
    edit: str | None = None
    comments: list[str] = field(default_factory=list)

    @property
    def live(self) -> bool:
        return self.state in ("waiting", "streaming")

    @property
    def rateable(self) -> bool:
        return self.state == "done" and bool(self.id)

    @property
    def said(self) -> str:
        """What the conversation goes on with."""
        return self.text if self.edit is None else self.edit


@dataclass
class Turn:
    """A question and its answer; or its two answers, in the order in which they are shown, and
    how they were compared: first, second, tie, both_bad or nothing yet. earlier: answers that
    were regenerated. names: waiting, told, or why they cannot be."""

    question: str
    answers: list[Answer]
    earlier: list[Answer] = field(default_factory=list)
    vote: str = ""
    names: str = ""
    revealing: "asyncio.Task[None] | None" = None

    @property
    def blind(self) -> bool:
        return len(self.answers) == 2

    @property
    def live(self) -> bool:
        return any(answer.live for answer in self.answers)

    @property
    def votable(self) -> bool:
        return self.blind and not self.vote and all(one.rateable for one in self.answers)

    @property
    def kept(self) -> Answer:
        """The answer that the conversation goes on with: the better one, else the first."""
        return self.answers[1 if self.vote == "second" else 0]


@dataclass
class Asked:
    """How to ask. model: the deployment or one of its names. user: who asks, as an application
    would name them; empty for nobody in particular."""

    deployment: str
    url: str
    model: str
    side_by_side: bool = False
    user: str = ""
    system: str = ""
    temperature: float | None = None
    max_tokens: int | None = None


@dataclass
class Conversation:
    """session: what the gateway assigns by when no user is told; owner: the key of who may see
    it; version: counts changes; changed: set and replaced at each."""

    id: str
    owner: str | None
    asked: Asked
    turns: list[Turn] = field(default_factory=list)
    session: str = field(default_factory=lambda: secrets.token_hex(12))
    writing: tuple[str, int] | None = None
    version: int = 0
    task: "asyncio.Task[None] | None" = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def live(self) -> bool:
        return self.task is not None and not self.task.done()

    @property
    def moving(self) -> bool:
        """Whether anything of it is still to come: an answer, or the names after a vote."""
        tasks = (self.task, *(turn.revealing for turn in self.turns))
        return any(task is not None and not task.done() for task in tasks)

    @property
    def undecided(self) -> bool:
        """Whether the last two answers wait for a vote."""
        return bool(self.turns) and self.turns[-1].votable

    def tell(self) -> None:
        """Let those who follow know that something changed."""
        self.version += 1
        self.changed.set()
        self.changed = asyncio.Event()

    def turn(self, number: object) -> Turn:
        """By its place. Raises Problem."""
        text = str(number)
        if not text.isdecimal() or int(text) >= len(self.turns):
            raise Problem("that answer is not part of this conversation any more")
        return self.turns[int(text)]

    def body(self) -> dict[str, Any]:
        """The request for the last turn."""
        asked = self.asked
        options: dict[str, Any] = {"temperature": asked.temperature, "max_tokens": asked.max_tokens}
        found = {key: value for key, value in options.items() if value is not None}
        if asked.user:
            found["user"] = asked.user
        if asked.side_by_side:
            found["side_by_side"] = True
        return {"model": asked.model, "messages": self._messages(), **found}

    def _messages(self) -> list[dict[str, str]]:
        """All turns but what failed, and the last question."""
        found = [{"role": "system", "content": self.asked.system}] if self.asked.system else []
        for turn in self.turns[:-1]:
            if turn.kept.said:
                found.append({"role": "user", "content": turn.question})
                found.append({"role": "assistant", "content": turn.kept.said})
        return [*found, {"role": "user", "content": self.turns[-1].question}]


class Conversations:
    """Those of this process."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._found: OrderedDict[str, Conversation] = OrderedDict()
        self._looks: OrderedDict[str, str] = OrderedDict()

    def begin(self, owner: str | None, asked: Asked) -> Conversation:
        new = Conversation(secrets.token_urlsafe(12), owner, asked)
        self._found[new.id] = new
        for id in [id for id, one in self._found.items() if not one.live][: self._over()]:
            del self._found[id]
        return new

    def find(self, id: str | None, owner: str | None) -> Conversation | None:
        """By its id; nobody sees what another one began."""
        found = self._found.get(id or "")
        if found is None or found.owner != owner:
            return None
        self._found.move_to_end(found.id)
        return found

    def look(self, session: str, id: str) -> None:
        """A page shows that conversation from now on; none for an empty id."""
        self._looks[session] = id
        self._looks.move_to_end(session)
        while len(self._looks) > _PAGES:
            self._looks.popitem(last=False)

    def looked_at(self, session: str) -> str:
        """The id of what a page shows."""
        return self._looks.get(session, "")

    def _over(self) -> int:
        return max(0, len(self._found) - self._most)
