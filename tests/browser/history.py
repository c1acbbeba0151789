"""Two weeks of users who asked about the towns and rated what they were told, written by the real
journal under the project's own secret: so the product ingests, shows, pairs and forgets them as if
a gateway had been there. Some of what they were told, and some of what they say, is hostile.
"""

import random
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from llmops.feedback.identity import Identity, load_identity
from llmops.store.paths import ProjectPaths
from tests.browser.hostile import HOSTILE, NAME
from tests.browser.townsfolk import known, text
from tests.fast import logged

DAY = 86_400.0
USERS = 160
SIDES = ("control", "candidate")
COMMENTS = ("wrong river", "too long", "exactly what I wanted to know", "please be brief")


class History:
    """Records, oldest first. before: what answered until the experiment began, five days ago;
    versions: of its control and its candidate."""

    def __init__(
        self, identity: Identity, before: str, versions: tuple[str, str], seed: int
    ) -> None:
        self._identity = identity
        self._before = before
        self._versions = versions
        self._answers = known()
        self._draw = random.Random(seed)
        self._now = time.time()

    def records(self, days: float) -> Iterator[dict[str, Any]]:
        visits = max(200, int(50 * days))
        times = sorted(self._now - self._draw.random() ** 1.5 * days * DAY for _ in range(visits))
        for number, at in enumerate(times):
            user = f"user-{int(USERS * self._draw.random() ** 1.6)}"
            yield from (self._vote if number % 3 == 0 else self._visit)(at, user, number)

    def hostile(self) -> Iterator[dict[str, Any]]:
        """Asked, answered and commented on in every hostile text; by a model with such a name."""
        for number, bad in enumerate(HOSTILE):
            at = self._now - 3600 - 60 * number
            answer = self._inference(at, "mallory", 0, question=bad, said=bad)
            yield answer
            yield self._event(answer, "comment", text=bad)
            yield self._event(answer, "edit", text=f"{bad} (edited)")
        yield self._inference(self._now - 60, "mallory", 0, version=NAME, variant=NAME)

    def _visit(self, at: float, user: str, number: int) -> Iterator[dict[str, Any]]:
        answer = self._inference(at, user, number)
        yield answer
        terse = len(answer["choices"][0]["text"].split()) <= 4
        if self._draw.random() < 0.75:
            up = self._draw.random() < (0.85 if terse else 0.35)
            yield self._event(answer, "thumbs", value=float(up))
        if self._draw.random() < 0.12:
            yield self._event(answer, "comment", text=self._draw.choice(COMMENTS))
        if not terse and self._draw.random() < 0.2:
            known_answer = self._answers[answer["messages"][0]["content"]]
            yield self._event(answer, "edit", text=f"The {known_answer}.")
        if self._draw.random() < 0.1:
            stars = self._draw.randint(2, 5)
            detail = {"scale": [1, 5], "value": stars}
            yield self._event(answer, "rating", value=(stars - 1) / 4, detail=detail)

    def _vote(self, at: float, user: str, number: int) -> Iterator[dict[str, Any]]:
        """Two answers side by side, and which one was better."""
        group = {"group": self._identity.new_group("town"), "unit": ""}
        question = self._draw.choice(list(self._answers))
        both = [
            self._inference(at, user, number, question=question, side=side, position=side, **group)
            for side in (0, 1)
        ]
        yield from both
        words = [len(answer["choices"][0]["text"].split()) for answer in both]
        choice = "tie" if words[0] == words[1] else ("first", "second")[words[1] < words[0]]
        yield self._event(both[0], "choice", other=both[1]["id"], choice=choice)

    def _inference(
        self,
        at: float,
        user: str,
        number: int,
        *,
        question: str | None = None,
        said: str | None = None,
        side: int | None = None,
        **changes: Any,
    ) -> dict[str, Any]:
        """An answer to one of the prompts, by the variant of that user."""
        stored = self._identity.user(user)
        if side is None:
            side = int(stored, 16) % 2
        early = self._now - at > 5 * DAY
        version = self._before if early else self._versions[side]
        question = question or self._draw.choice(list(self._answers))
        said = said or text(version, question, self._answers, self._draw)
        whole = {"index": 0, "text": said, "tool_calls": None, "finish_reason": "stop"}
        given = {
            "id": self._identity.new_id("town", at),
            "time": int(at * 1000),
            "variant": "control" if early else SIDES[side],
            "version": version,
            "generation": 1 if early else 2,
            "unit": f"user:{stored}",
            "user": stored,
            "messages": [{"role": "user", "content": question}],
            "choices": [whole],
            "stream": True,
            "total_ms": 40 + 30 * self._draw.random() * len(said.split()),
            "first_token_ms": 20 + 30 * self._draw.random(),
            "prompt_tokens": len(question.split()) * 2,
            "completion_tokens": len(said.split()) * 2,
        }
        return logged.answer(number, **(given | changes))

    def _event(self, answer: dict[str, Any], kind: str, **said: Any) -> dict[str, Any]:
        given = {
            "id": f"{kind}@{answer['id']}",
            "time": answer["time"] + 20_000,
            "inference": answer["id"],
            "kind": kind,
            "value": None,
            "user": answer["user"],
        }
        return logged.event(0, **(given | said))


def write_history(
    root: Path,
    before: str,
    versions: tuple[str, str],
    *,
    days: float = 14.0,
    hostile: bool = False,
) -> None:
    """As a gateway leaves it that has ended: in the journal, for an ingester to find. days: until
    now, with fifty visits on each, at least 200."""
    paths = ProjectPaths(root)
    history = History(load_identity(paths.secret), before, versions, int(10 * days))
    bad = history.hostile() if hostile else ()
    writer = f"town-history-{secrets.token_hex(2)}"
    logged.write(paths, [*history.records(days), *bad], writer)
