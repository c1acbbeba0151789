"""Ratings: answers to one prompt whose mean ratings lie far enough apart.

In each prompt the best goes with the worst, the second best with the second worst, and so on.
"""

from typing import TYPE_CHECKING

from llmops.preferences import singles
from llmops.preferences.log import Log
from llmops.preferences.report import Tally
from llmops.spec.preferences import Ratings

if TYPE_CHECKING:
    import polars as pl


def ratings(events: "pl.DataFrame", log: Log, options: Ratings, tally: Tally) -> "pl.DataFrame":
    """Opinions of the `rating` events (value 0 to 1)."""
    import polars as pl

    by = ["prompt"]
    said = singles.judged(events, tally)
    texts = singles.texts(said, by).sort("mean", "first", descending=[True, False])
    place, size = pl.int_range(pl.len()).over(by), pl.len().over(by).cast(pl.Int64)
    texts = texts.with_columns(place=place, facing=size - 1 - place)
    worst = texts.select("prompt", rejected_key="key", low="mean", place=pl.col("facing"))
    best = texts.filter(pl.col("place") < pl.min_horizontal("facing", options.per_prompt))
    apart = pl.col("mean") - pl.col("low") >= options.margin - 1e-9
    pairs = best.join(worst, on=["prompt", "place"]).filter(apart)
    lone = texts.height - 2 * pairs.height
    reason = f"no partner on the same prompt rated {options.margin:g} apart"
    tally.drop(lone, "answers", reason)
    pairs = pairs.select(
        "prompt",
        pl.col("key").alias("chosen_key"),
        "rejected_key",
        middle=(pl.col("mean") + pl.col("low")) / 2,
    )
    return singles.opinions(said, pairs, by)
