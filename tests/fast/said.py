"""What users of the tests' deployment asked and said, as records; and the frames made of them, as
the database gives them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from llmops.feedback.rows import FEEDBACK_COLUMNS as FEEDBACK
from llmops.feedback.rows import INFERENCE_COLUMNS as INFERENCES
from llmops.feedback.rows import feedback_row, inference_row
from llmops.preferences.build import Built, build
from llmops.preferences.log import EVENT_COLUMNS, INFERENCE_COLUMNS, Log
from llmops.spec.preferences import PreferencesRecipe
from tests.fast.logged import NOW, answer, event

_FLAGS = ("whole", "broken", "erased", "completion", "simulated")
_KINDS: dict[str, type[pl.DataType]] = {"time": pl.Int64, "value": pl.Float64}
_KINDS |= dict.fromkeys(_FLAGS, pl.Boolean)


@dataclass
class Said:
    """A log that grows. Methods give ids."""

    answers: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)

    def ask(self, prompt: Any, text: str | None, user: str = "asker", **changes: Any) -> str:
        """An answer. prompt: the user's words, or messages."""
        messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
        finish = changes.pop("finish", "stop")
        given = {"index": 0, "text": text, "tool_calls": None, "finish_reason": finish}
        made = {"messages": messages, "choices": [given], "user": user, "unit": f"user:{user}"}
        self.answers.append(answer(len(self.answers), **(made | changes)))
        return str(self.answers[-1]["id"])

    def say(self, kind: str, about: str, user: str | None = None, **changes: Any) -> str:
        made = {"kind": kind, "inference": about, "user": user, "value": None}
        self.events.append(event(len(self.events), **(made | changes)))
        return str(self.events[-1]["id"])

    def thumb(self, about: str, up: bool, user: str | None = None, **changes: Any) -> str:
        return self.say("thumbs", about, user, value=float(up), **changes)

    def rate(self, about: str, value: float, user: str | None = None) -> str:
        return self.say("rating", about, user, value=value)

    def vote(self, first: str, second: str, choice: str, user: str | None = None) -> str:
        return self.say("choice", first, user, other=second, choice=choice)

    def edit(self, about: str, text: str, user: str | None = None) -> str:
        return self.say("edit", about, user, text=text)

    @property
    def records(self) -> list[dict[str, Any]]:
        return [*self.answers, *self.events]

    def log(self, now: int = NOW + 10_000) -> Log:
        """The frames that the database would give."""
        answers = [dict(zip(INFERENCES, inference_row(one), strict=True)) for one in self.answers]
        events = [dict(zip(FEEDBACK, feedback_row(one, NOW), strict=True)) for one in self.events]
        for row in [*answers, *events]:
            row["erased"] = row["redacted"] is not None
            row["simulated"] = (row["source"] or "").startswith("simulated")
        for row in answers:
            row["asker"] = row["user"] or row["session"] or row["unit"] or row["id"]
            row["whole"], row["broken"] = row["finish"] == "stop", row["error"] is not None
            row["completion"] = row["endpoint"] != "chat"
        return Log(_frame(answers, INFERENCE_COLUMNS), _frame(events, EVENT_COLUMNS), now)

    def build(self, *builders: str, **changes: Any) -> Built:
        return build(self.log(), recipe(*builders, **changes))

    def pairs(self, *builders: str, **changes: Any) -> list[tuple[str, str]]:
        """(chosen, rejected) of all that survives, in order."""
        rows = self.build(*builders, **changes).rows
        return sorted(zip(rows["chosen"], rows["rejected"], strict=True))


def recipe(*builders: str, **changes: Any) -> PreferencesRecipe:
    """One that uses these builders; or `builders` among the changes."""
    made = {
        "kind": "preferences",
        "deployment": "town",
        "builders": {name: {} for name in builders},
        "output": {"preferences": "town"},
        "holdout": 0.0,
    }
    return PreferencesRecipe.model_validate(made | changes)


def _frame(rows: list[dict[str, Any]], columns: Sequence[str]) -> pl.DataFrame:
    schema = {name: _KINDS.get(name, pl.String) for name in columns}
    return pl.DataFrame([[row[name] for name in schema] for row in rows], schema, orient="row")


def drops(built: Built) -> dict[str, int]:
    """How many were left out, by reason."""
    return {drop.reason: drop.count for drop in built.report.drops}
