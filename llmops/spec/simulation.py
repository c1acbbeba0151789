"""The grammar of `kind: simulate`: declared users who chat through the gateway and rate."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from llmops.spec.grammar import Name, Spec

Share = Annotated[float, Field(ge=0, le=1)]


class Taste(Spec):
    """What the users like. max_words: a longer answer is wordy. correct: they know the answer
    (the field `answer` of the prompt) and reject another one. noise: share of random opinions."""

    max_words: int | None = Field(None, ge=1)
    correct: bool = False
    noise: Share = 0.05


class Ways(Spec):
    """How they say it: of all visits, the share that compares two answers, rates by a thumb,
    edits an answer that is disliked, or asks again for one; the rest says nothing."""

    votes: Share = 0.4
    thumbs: Share = 0.4
    edits: Share = 0.1
    regenerations: Share = 0.0

    @model_validator(mode="after")
    def _shares_of_one_whole(self) -> "Ways":
        total = self.votes + self.thumbs + self.edits + self.regenerations
        if total > 1.0 + 1e-9:
            raise ValueError(f"the shares add up to {total:g}, more than 1")
        return self


class Users(Spec):
    """number: how many there are. activity: the exponent of a power law of their visits (0: all
    the same). malicious: the share of users who rate against their taste; each of them comes
    `bulk` times as often as the mean user."""

    number: int = Field(100, ge=1)
    activity: float = Field(1.0, ge=0)
    malicious: Share = 0.0
    bulk: float = Field(1.0, ge=1)
    taste: Taste = Field(default_factory=lambda: Taste())
    ways: Ways = Field(default_factory=lambda: Ways())


class SimulateRecipe(Spec):
    """Visits to a deployment by simulated users. Everything made from it is marked simulated.

    prompts: JSON lines with `prompt`, and where the users know it, `answer` (a word that a right
    answer names) and `ideal` (what an editor writes; `answer` when left out). visits: how many,
    with the versions that the variants name now. concurrency: at once. seed: of who comes when,
    asks what and says it how; the answers are the model's own.
    """

    kind: Literal["simulate"]
    name: Name = Field(description="marks what comes of it: simulated:NAME")
    deployment: str = Field(description="a deployment, e.g. serving/town.yaml")
    prompts: str
    visits: int = Field(ge=1)
    users: Users = Field(default_factory=lambda: Users())
    temperature: float = Field(1.0, ge=0)
    max_tokens: int = Field(64, ge=1)
    concurrency: int = Field(16, ge=1)
    seed: int = 0
