"""The grammar of `kind: preferences`: pairs (or single judged answers) from the feedback log."""

from typing import Any, Literal

from pydantic import Field, model_validator

from llmops.spec.grammar import Duration, Name, Spec, Url


class Votes(Spec):
    """Pairwise choices; ties and `both bad` make no pair."""


class Edits(Spec):
    """The edited text over the original. min_change: the share of the distinct words of both that
    must stand in one of them only."""

    min_change: float = Field(0.0, ge=0, le=1)


class Regenerations(Spec):
    """The answer that was kept over the one that was discarded."""


class Ratings(Spec):
    """Answers to one prompt, rated at least `margin` apart on average (scaled to 0..1).
    per_prompt: at most so many pairs of one prompt, the furthest apart first."""

    margin: float = Field(0.25, gt=0, le=1)
    per_prompt: int = Field(4, ge=1)


class Thumbs(Spec):
    """An answer with more thumbs up than down against one with more down, on the same prompt.
    across_users: by whomever, else by one and the same rater. per_prompt: at most so many pairs
    of one prompt, the clearest first."""

    across_users: bool = True
    per_prompt: int = Field(4, ge=1)


class Judge(Spec):
    """Answers to prompts that no other builder makes a pair of get a second answer, sampled; a
    judge model compares both, in both orders. url: an OpenAI-compatible endpoint; key_env: the
    variable that holds its key; max_tokens: of a sampled answer."""

    url: Url = Field(description="its root, with or without /v1")
    model: str
    key_env: str | None = None
    criteria: str = "Which answer is more helpful, correct and to the point?"
    sample_from: str = Field(
        "production", description="who answers again: a variant, an alias, or a version"
    )
    limit: int = Field(200, ge=1, description="at most so many prompts")
    temperature: float = Field(1.0, gt=0)
    max_tokens: int = Field(512, ge=1)


class Builders(Spec):
    """Which kinds of feedback make pairs; those left out do not. A name alone (`votes:`) means
    its defaults."""

    votes: Votes | None = None
    edits: Edits | None = None
    regenerations: Regenerations | None = None
    ratings: Ratings | None = None
    thumbs: Thumbs | None = None
    judge: Judge | None = None

    @model_validator(mode="before")
    @classmethod
    def _a_name_alone(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {name: {} if options is None else options for name, options in value.items()}

    @model_validator(mode="after")
    def _at_least_one(self) -> "Builders":
        if not self.used:
            raise ValueError("name at least one: " + ", ".join(type(self).model_fields))
        return self

    @property
    def used(self) -> dict[str, Spec]:
        """The options of those that are on, by name."""
        found = {name: getattr(self, name) for name in type(self).model_fields}
        return {name: options for name, options in found.items() if options is not None}


class PreferencesOutput(Spec):
    """The snapshot's name: `preferences:NAME` in a training recipe."""

    preferences: Name


class PreferencesRecipe(Spec):
    """From feedback events to a snapshot of preference pairs.

    layout: `pairs` for DPO, `unpaired` (thumbs) for KTO. agreement: the share of the raters of a
    pair that must agree. per_rater: at most so many events of one rater count, the newest.
    length_bias: the largest share of the training pairs whose chosen side is the longer (or the
    shorter) one, null for any. holdout: the share of prompts, by hash, that never trains.
    """

    kind: Literal["preferences"]
    deployment: Name
    since: Duration | None = None
    simulated: bool = Field(False, description="use simulated users' feedback too")
    layout: Literal["pairs", "unpaired"] = "pairs"
    builders: Builders
    agreement: float = Field(0.6, ge=0.5, le=1)
    per_rater: int | None = Field(100, ge=1)
    length_bias: float | None = Field(None, gt=0.5, le=1)
    holdout: float = Field(0.1, ge=0, lt=1)
    min_pairs: int = Field(1, ge=1, description="fewer are not worth a training: refused")
    output: PreferencesOutput

    @model_validator(mode="after")
    def _fit_the_layout(self) -> "PreferencesRecipe":
        if self.layout == "unpaired":
            others = [name for name in self.builders.used if name != "thumbs"]
            if others:
                raise ValueError(
                    f"layout `unpaired` is made of thumbs only; leave out {', '.join(others)}"
                )
            if self.length_bias is not None:
                raise ValueError("`length_bias` compares the sides of pairs; `unpaired` has none")
        return self
