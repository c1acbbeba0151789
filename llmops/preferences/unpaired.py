"""Thumbs without partners: single answers, good or bad by the majority of their raters (KTO)."""

from typing import TYPE_CHECKING

from llmops.preferences import singles
from llmops.preferences.holdout import split
from llmops.preferences.report import Tally
from llmops.spec.preferences import PreferencesRecipe

if TYPE_CHECKING:
    import polars as pl

COLUMNS = (
    *("prompt_hash", "prompt", "answer", "label", "builder", "agreement", "votes", "raters"),
    *("inferences", "events", "split", "source"),
)


def build_unpaired(
    events: "pl.DataFrame", recipe: PreferencesRecipe, tally: Tally
) -> "pl.DataFrame":
    """A row for each text of a prompt that enough raters agree on."""
    import polars as pl

    from llmops.preferences.build import source, with_prompts

    said = singles.judged(events.filter(pl.col("kind") == "thumbs"), "thumbs", tally)
    full = said.filter(pl.col("response").str.contains(r"\S"))
    tally.drop(said.height - full.height, "events", "about an empty answer")
    voted = full.group_by("prompt_hash", "key", maintain_order=True).agg(
        pl.col("messages").first(),
        answer=pl.col("response").first(),
        up=pl.col("value").mean(),
        raters=pl.len().cast(pl.Int64),
        whole=pl.col("whole").any(),
    )
    voted = voted.with_columns(label=pl.col("up") > 0.5, agreement=(pl.col("up") - 0.5).abs() + 0.5)
    answers = _agreed(voted, recipe.agreement, tally)
    whole = answers.filter(pl.col("whole") | ~pl.col("label"))
    tally.drop(answers.height - whole.height, "answers", "good, but unfinished")
    rows = with_prompts(_with_origin(whole, full), tally, "answers")
    rows = rows.with_columns(split=split(recipe.holdout), source=source(), builder=pl.lit("thumbs"))
    return rows.sort("prompt_hash", "answer").select(COLUMNS)


def _agreed(voted: "pl.DataFrame", agreement: float, tally: Tally) -> "pl.DataFrame":
    import polars as pl

    clear = voted.filter((pl.col("up") - 0.5).abs() > 1e-9)
    tally.drop(voted.height - clear.height, "answers", "contradictory: as many up as down")
    kept = clear.filter(pl.col("agreement") >= agreement - 1e-9)
    reason = f"contradictory: less than {agreement:.0%} of the raters agree"
    tally.drop(clear.height - kept.height, "answers", reason)
    return kept


def _with_origin(answers: "pl.DataFrame", events: "pl.DataFrame") -> "pl.DataFrame":
    """The events that say the same as the majority, and the inferences that they are about."""
    import polars as pl

    said = events.with_columns(label=pl.col("value") > 0.5)
    origin = said.group_by("prompt_hash", "key", "label").agg(
        votes=pl.len().cast(pl.Int64),
        inferences=pl.col("inference").unique().sort(),
        events=pl.col("id").unique().sort(),
        simulated=pl.col("simulated").any(),
    )
    return answers.join(origin, on=["prompt_hash", "key", "label"], how="left")
