"""Thumbs: an answer that was liked against one that was not, on the same prompt, across users too.

Not every good answer meets every bad one: each takes part at least once, up to `per_prompt` pairs.
"""

from typing import TYPE_CHECKING

from llmops.preferences import singles
from llmops.preferences.log import Log
from llmops.preferences.report import Tally
from llmops.spec.preferences import Thumbs

if TYPE_CHECKING:
    import polars as pl


def thumbs(events: "pl.DataFrame", log: Log, options: Thumbs, tally: Tally) -> "pl.DataFrame":
    """Opinions of the `thumbs` events (value 1 up, 0 down)."""
    import polars as pl

    by = ["prompt"] if options.across_users else ["prompt", "rater"]
    said = singles.judged(events, tally)
    texts = singles.texts(said, by).with_columns(net=2 * pl.col("total") - pl.col("count"))
    undecided = texts.filter(pl.col("net").abs() < 0.5).height
    tally.drop(undecided, "answers", "as many thumbs up as down")
    good, bad = texts.filter(pl.col("net") > 0.5), texts.filter(pl.col("net") < -0.5)
    pairs = _matched(good, bad, by, options.per_prompt)
    lone = good.height + bad.height - _taking_part(pairs, by)
    tally.drop(lone, "answers", "no partner with the other thumb on the same prompt")
    return singles.opinions(said, pairs.with_columns(middle=pl.lit(0.5)), by)


def _matched(
    good: "pl.DataFrame", bad: "pl.DataFrame", by: list[str], per_prompt: int
) -> "pl.DataFrame":
    """In each group the clearest with the clearest, the second with the second, and so on; the
    shorter list begins again. No pair comes twice."""
    import polars as pl

    def ranked(texts: "pl.DataFrame", side: str) -> "pl.DataFrame":
        clearest = texts.sort(pl.col("net").abs(), "first", descending=[True, False])
        place = pl.int_range(pl.len()).over(by)
        return clearest.select(
            *by, pl.col("key").alias(f"{side}_key"), place.alias(f"{side}_place")
        )

    def counted(texts: "pl.DataFrame", side: str) -> "pl.DataFrame":
        return texts.group_by(by).len(f"{side}_count")

    sizes = counted(good, "chosen").join(counted(bad, "rejected"), on=by)
    wanted = pl.max_horizontal("chosen_count", "rejected_count").clip(upper_bound=per_prompt)
    turns = sizes.with_columns(turn=pl.int_ranges(0, wanted)).explode("turn")
    for side, texts in (("chosen", good), ("rejected", bad)):
        place = (pl.col("turn") % pl.col(f"{side}_count").cast(pl.Int64)).alias(f"{side}_place")
        turns = turns.with_columns(place).join(ranked(texts, side), on=[*by, f"{side}_place"])
    return turns.select(*by, *singles.SIDES)


def _taking_part(pairs: "pl.DataFrame", by: list[str]) -> int:
    """How many texts stand on either side of a pair."""
    return sum(pairs.select(*by, side).unique().height for side in singles.SIDES)
