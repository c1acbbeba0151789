"""Judgements of single answers (thumbs, ratings) as opinions about pairs of answers.

A rater who puts one side of a pair above its middle, or the other below it, is for the pair; the
other way round, against it.
"""

from typing import TYPE_CHECKING

from llmops.preferences.log import sieve
from llmops.preferences.opinions import COLUMNS
from llmops.preferences.report import Tally

if TYPE_CHECKING:
    import polars as pl

SIDES = ("chosen_key", "rejected_key")


def judged(events: "pl.DataFrame", tally: Tally) -> "pl.DataFrame":
    """The newest judgement of each rater on each text of a prompt."""
    import polars as pl

    later = ~pl.struct("rater", "prompt", "key").is_last_distinct()
    bad = [
        (pl.col("key").is_null() | pl.col("value").is_null(), "about an answer without text"),
        (later, "on the same text as a later one of the same rater"),
    ]
    return sieve(events, bad, tally)


def texts(events: "pl.DataFrame", by: list[str]) -> "pl.DataFrame":
    """The texts of each group `by`: mean and total of their judgements (each 0 to 1), how many
    there are, and `first`, the place of the first one."""
    import polars as pl

    placed = events.with_row_index("place")
    return placed.group_by([*by, "key"], maintain_order=True).agg(
        mean=pl.col("value").mean(),
        total=pl.col("value").sum(),
        count=pl.len(),
        first=pl.col("place").first(),
    )


def opinions(events: "pl.DataFrame", pairs: "pl.DataFrame", by: list[str]) -> "pl.DataFrame":
    """What the judgements of both sides say of each pair.

    pairs: `by`, chosen_key, rejected_key and middle (0 to 1).
    """
    import polars as pl

    found = pl.concat([_of_side(events, pairs, by, side) for side in SIDES])
    found = found.filter(pl.col("favour") != 0)
    shown = _shown(events)
    for side in SIDES:
        name = side.removesuffix("_key")
        text = shown.rename({"key": side, "row": f"{name}_row", "whole": f"{name}_whole"})
        found = found.join(text, on=["prompt", side], how="left", maintain_order="left")
    edit = pl.lit(None, pl.UInt32).alias("edit")
    return _turned(found).with_columns(edit).sort("event").select(COLUMNS)


def _shown(events: "pl.DataFrame") -> "pl.DataFrame":
    """For each text of a prompt an inference that gave it, a finished one if there is any."""
    best = events.sort("whole", descending=True, maintain_order=True)
    first = best.unique(["prompt", "key"], keep="first", maintain_order=True)
    return first.select("prompt", "key", "whole", row="inference")


def _of_side(
    events: "pl.DataFrame", pairs: "pl.DataFrame", by: list[str], side: str
) -> "pl.DataFrame":
    """favour: 1 for the pair, -1 against it, 0 for neither."""
    import polars as pl

    said = events.rename({"key": side, "inference": "own"})
    said = said.select("prompt", "rater", side, "value", "event", "simulated", "own")
    above = (pl.col("value") - pl.col("middle")).sign().cast(pl.Int8)
    chosen = side == SIDES[0]
    none = pl.lit(None, pl.UInt32)
    return said.join(pairs, on=[*by, side]).select(
        *("prompt", "rater", *SIDES, "event", "simulated"),
        favour=above if chosen else -above,
        chosen_by="own" if chosen else none,
        rejected_by=none if chosen else "own",
    )


def _turned(found: "pl.DataFrame") -> "pl.DataFrame":
    """Judgements against a pair are for the pair with its sides exchanged."""
    import polars as pl

    def either(chosen: str, rejected: str) -> "pl.Expr":
        return pl.when(pl.col("favour") > 0).then(chosen).otherwise(rejected)

    exchanged = {
        f"{side}_{name}": either(f"{side}_{name}", f"{other}_{name}")
        for side, other in (("chosen", "rejected"), ("rejected", "chosen"))
        for name in ("key", "row", "by")
    }
    return found.with_columns(whole=either("chosen_whole", "rejected_whole"), **exchanged)
