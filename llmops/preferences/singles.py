"""Judgements of single answers (thumbs, ratings) as opinions about pairs of answers.

A rater who puts one side of a pair above its middle, or the other below it, is for the pair; the
other way round, against it.
"""

from typing import TYPE_CHECKING

from llmops.preferences.opinions import COLUMNS
from llmops.preferences.report import Tally

if TYPE_CHECKING:
    import polars as pl

SIDES = ("chosen_key", "rejected_key")


def judged(events: "pl.DataFrame", builder: str, tally: Tally) -> "pl.DataFrame":
    """The newest judgement of each rater on each text of a prompt."""
    import polars as pl

    full = events.filter(pl.col("key").is_not_null() & pl.col("value").is_not_null())
    tally.drop(events.height - full.height, "events", "about an answer without text", builder)
    kept = full.unique(["rater", "prompt_hash", "key"], keep="last", maintain_order=True)
    reason = "on the same text as a later one of the same rater"
    tally.drop(full.height - kept.height, "events", reason, builder)
    return kept


def texts(events: "pl.DataFrame", by: list[str]) -> "pl.DataFrame":
    """The texts of each group `by`, with the mean of their judgements (0 to 1) and how many."""
    import polars as pl

    return events.group_by([*by, "key"], maintain_order=True).agg(
        mean=pl.col("value").mean(), count=pl.len(), first=pl.col("inference").first()
    )


def opinions(
    events: "pl.DataFrame", pairs: "pl.DataFrame", by: list[str], builder: str
) -> "pl.DataFrame":
    """What the judgements of both sides say of each pair.

    pairs: `by`, chosen_key, rejected_key and middle (0 to 1).
    """
    import polars as pl

    best = events.sort("whole", descending=True, maintain_order=True)
    shown = best.unique(["prompt_hash", "key"], keep="first", maintain_order=True)
    shown = shown.select("prompt_hash", "messages", "key", "response", "whole")
    sides = [_of_side(events, pairs, by, side) for side in SIDES]
    found = pl.concat(sides).filter(pl.col("favour") != 0)
    for side in SIDES:
        name = side.removesuffix("_key")
        text = shown.select(
            "prompt_hash",
            pl.col("key").alias(side),
            pl.col("response").alias(name),
            pl.col("whole").alias(f"{name}_whole"),
            *(["messages"] if side == SIDES[0] else []),
        )
        found = found.join(text, on=["prompt_hash", side], how="left")
    return _turned(found).with_columns(builder=pl.lit(builder)).select(COLUMNS)


def _of_side(
    events: "pl.DataFrame", pairs: "pl.DataFrame", by: list[str], side: str
) -> "pl.DataFrame":
    """favour: 1 for the pair, -1 against it, 0 for neither."""
    import polars as pl

    said = events.select(
        *dict.fromkeys(("prompt_hash", *by)),
        pl.col("key").alias(side),
        "value",
        *(["rater"] if "rater" not in by else []),
        event="id",
        time="time",
        simulated="simulated",
        own="inference",
    )
    above = (pl.col("value") - pl.col("middle")).sign().cast(pl.Int8)
    return pairs.join(said, on=[*by, side]).select(
        *("prompt_hash", "rater", *SIDES, "event", "time", "simulated"),
        favour=above if side == SIDES[0] else -above,
        chosen_by="own" if side == SIDES[0] else pl.lit(None, pl.String),
        rejected_by="own" if side == SIDES[1] else pl.lit(None, pl.String),
    )


def _turned(found: "pl.DataFrame") -> "pl.DataFrame":
    """Judgements against a pair are for the pair with its sides exchanged."""
    import polars as pl

    for_it = pl.col("favour") > 0

    def either(chosen: str, rejected: str) -> "pl.Expr":
        return pl.when(for_it).then(chosen).otherwise(rejected)

    return found.with_columns(
        chosen=either("chosen", "rejected"),
        rejected=either("rejected", "chosen"),
        chosen_key=either("chosen_key", "rejected_key"),
        rejected_key=either("rejected_key", "chosen_key"),
        chosen_by=either("chosen_by", "rejected_by"),
        rejected_by=either("rejected_by", "chosen_by"),
        whole=either("chosen_whole", "rejected_whole"),
    )
