"""The grammar of `kind: preferences`: pairs (or single judged answers) from the feedback log."""

from typing import Literal

from pydantic import Field

from llmops.spec.grammar import Duration, Name, Spec


class Votes(Spec):
    """Pairwise choices; ties and `both bad` make no pair."""


class Edits(Spec):
    """The edited text over the original. min_change: share of characters that must differ."""

    min_change: float = Field(0.0, ge=0, le=1)


class Regenerations(Spec):
    """The answer that was kept over the one that was discarded."""


class Ratings(Spec):
    """Answers to one prompt, rated at least `margin` apart (both scaled to 0..1)."""

    margin: float = Field(0.25, gt=0, le=1)


class Thumbs(Spec):
    """An answer with a thumb up against one with a thumb down on the same prompt."""

    across_users: bool = True


class Judge(Spec):
    """Answers without a partner get a second one, sampled; a judge model compares both, in both
    orders. url: an OpenAI-compatible endpoint; key_env: the variable that holds its key."""

    url: str
    model: str
    key_env: str | None = None
    sample_from: str = Field("production", description="the alias or variant that answers again")
    limit: int = Field(200, ge=1, description="at most so many comparisons")
    temperature: float = 1.0


class Builders(Spec):
    """Which kinds of feedback make pairs; those left out do not."""

    votes: Votes | None = None
    edits: Edits | None = None
    regenerations: Regenerations | None = None
    ratings: Ratings | None = None
    thumbs: Thumbs | None = None
    judge: Judge | None = None


class PreferencesOutput(Spec):
    """The snapshot's name: `preferences:NAME` in a training recipe."""

    preferences: Name


class PreferencesRecipe(Spec):
    """From feedback events to a snapshot of preference pairs.

    layout: `pairs` for DPO, `unpaired` (thumbs) for KTO. agreement: the share of the votes on a
    pair that must agree. per_rater: at most so many events of one rater count. length_bias: the
    largest share of pairs whose chosen side is the longer (or the shorter) one, null for any.
    holdout: the share of prompts, by hash, that never trains.
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
