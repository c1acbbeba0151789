"""Thumbs without partners: single answers, good or bad by the majority of their raters (KTO)."""

from typing import TYPE_CHECKING

from llmops.preferences import singles
from llmops.preferences.log import Log, sieve, source
from llmops.preferences.prompts import split, with_prompts
from llmops.preferences.report import Tally
from llmops.spec.preferences import PreferencesRecipe

if TYPE_CHECKING:
    import polars as pl

COLUMNS = (
    *("prompt_hash", "prompt", "answer", "label", "builder", "agreement", "votes", "raters"),
    *("inferences", "events", "split", "source"),
)


def build_unpaired(
    events: "pl.DataFrame", log: Log, recipe: PreferencesRecipe, tally: Tally
) -> "pl.DataFrame":
    """A row for each text of a prompt that enough raters agree on."""
    import polars as pl

    said = singles.judged(events, tally).with_columns(label=pl.col("value") > 0.5)
    voted = said.group_by("prompt", "key", maintain_order=True).agg(
        pl.col("inference").first(),
        up=pl.col("label").mean(),
        raters=pl.len().cast(pl.Int64),
        whole=pl.col("whole").any(),
    )
    voted = voted.with_columns(label=pl.col("up") > 0.5, agreement=(pl.col("up") - 0.5).abs() + 0.5)
    share = pl.col("agreement")
    bad = [
        (share < 0.5 + 1e-9, "contradictory: as many thumbs up as down"),
        (
            share < recipe.agreement - 1e-9,
            f"contradictory: less than {recipe.agreement:.0%} of the raters agree",
        ),
        (pl.col("label") & ~pl.col("whole"), "good, but unfinished"),
    ]
    kept = _with_origin(sieve(voted, bad, tally, "answers"), said, log)
    kept = kept.with_columns(
        log.inferences["response"].gather(kept["inference"]).alias("answer"),
        source(),
        builder=pl.lit("thumbs"),
    )
    rows = with_prompts(kept, log, kept["inference"], tally, "answers")
    rows = rows.with_columns(split=split(recipe.holdout))
    return rows.sort("prompt_hash", "answer").select(COLUMNS)


def _with_origin(answers: "pl.DataFrame", said: "pl.DataFrame", log: Log) -> "pl.DataFrame":
    """The events that say the same as the majority, and the inferences that they are about."""
    import polars as pl

    named = said.with_columns(
        log.events["id"].gather(said["event"]).alias("event"),
        log.inferences["id"].gather(said["inference"]).alias("inference"),
    )
    origin = named.group_by("prompt", "key", "label").agg(
        votes=pl.len().cast(pl.Int64),
        inferences=pl.col("inference"),
        events=pl.col("event"),
        simulated=pl.col("simulated").any(),
    )
    origin = origin.with_columns(pl.col("inferences", "events").list.unique().list.sort())
    return answers.join(origin, on=["prompt", "key", "label"], how="left", maintain_order="left")
