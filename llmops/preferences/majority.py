"""From opinions to pairs: on each two answers to a prompt the raters decide by majority.

Each rater has one say on a pair, whatever the number of his opinions; one who contradicts himself
has none.
"""

from typing import TYPE_CHECKING

from llmops.preferences.log import Log, sieve
from llmops.preferences.report import Tally

if TYPE_CHECKING:
    import polars as pl

PAIR = ("prompt", "low", "high")
_SAME = ("agreement", "raters", "chosen_row", "rejected_row", "edit")


def comparable(opinions: "pl.DataFrame", tally: Tally) -> "pl.DataFrame":
    """Without empty sides, and without sides that are the same but for white space."""
    import polars as pl

    empty = pl.any_horizontal(pl.col("chosen_key", "rejected_key").is_null())
    same = pl.col("chosen_key") == pl.col("rejected_key")
    bad = [(empty, "a side is empty"), (same, "both sides are the same text")]
    return sieve(opinions, bad, tally, "opinions")


def decide(opinions: "pl.DataFrame", log: Log, agreement: float, tally: Tally) -> "pl.DataFrame":
    """A row for each pair that enough raters agree on. agreement: the least share of its raters.

    Columns: prompt, chosen_row, rejected_row, edit (opinions.py), builder (the first of its
    opinions'), agreement, votes (opinions for it), raters (who had a say), inferences, events
    (ids), simulated, whole.
    """
    import polars as pl

    lower = pl.col("chosen_key") < pl.col("rejected_key")
    said = opinions.with_columns(
        low=pl.min_horizontal("chosen_key", "rejected_key"),
        high=pl.max_horizontal("chosen_key", "rejected_key"),
        side=pl.when(lower).then(pl.lit(1, pl.Int8)).otherwise(pl.lit(-1, pl.Int8)),
    ).drop("chosen_key", "rejected_key")
    won = _won(_counted(said), agreement, tally)
    return _gathered(said.join(won, on=[*PAIR, "side"], maintain_order="left"), log)


def _counted(said: "pl.DataFrame") -> "pl.DataFrame":
    """for_low: raters who prefer the answer with the lower key; for_high: the other one."""
    import polars as pl

    by_rater = said.group_by(*PAIR, "rater").agg(say=pl.col("side").cast(pl.Int64).sum())
    return by_rater.group_by(PAIR).agg(
        for_low=(pl.col("say") > 0).sum().cast(pl.Int64),
        for_high=(pl.col("say") < 0).sum().cast(pl.Int64),
    )


def _won(counted: "pl.DataFrame", agreement: float, tally: Tally) -> "pl.DataFrame":
    """The side that won of each pair that has a winner."""
    import polars as pl

    low, high = pl.col("for_low"), pl.col("for_high")
    share = pl.max_horizontal(low, high) / (low + high)
    bad = [
        (low == high, "contradictory: as many raters for either side"),
        (share < agreement - 1e-9, f"contradictory: less than {agreement:.0%} of the raters agree"),
    ]
    return sieve(counted, bad, tally, "pairs").select(
        *PAIR,
        side=pl.when(low > high).then(pl.lit(1, pl.Int8)).otherwise(pl.lit(-1, pl.Int8)),
        raters=low + high,
        agreement=share,
    )


def _gathered(kept: "pl.DataFrame", log: Log) -> "pl.DataFrame":
    """The opinions for each pair as one row with all that they came from."""
    import polars as pl

    ids = log.inferences["id"]
    named = kept.with_columns(
        log.events["id"].gather(kept["event"]).alias("event"),
        *(ids.gather(kept[name]).alias(name) for name in ("chosen_by", "rejected_by")),
    )
    several = named.select(pl.struct(PAIR).is_duplicated()).to_series()
    return pl.concat([_of_one(named.filter(~several)), _of_several(named.filter(several))])


def _of_one(named: "pl.DataFrame") -> "pl.DataFrame":
    """Pairs with one opinion, which are most: a row is a pair already, and grouping is slow."""
    import polars as pl

    first = pl.min_horizontal("chosen_by", "rejected_by")
    last = pl.max_horizontal("chosen_by", "rejected_by")
    return named.select(
        *PAIR,
        *_SAME,
        "builder",
        "simulated",
        "whole",
        votes=pl.lit(1, pl.Int64),
        inferences=pl.concat_list(first, pl.when(last != first).then(last)).list.drop_nulls(),
        events=pl.concat_list("event").list.drop_nulls(),
    )


def _of_several(named: "pl.DataFrame") -> "pl.DataFrame":
    import polars as pl

    grouped = named.group_by(PAIR, maintain_order=True).agg(
        pl.col(_SAME).first(),
        pl.col("builder").min(),
        pl.col("simulated", "whole").any(),
        votes=pl.len().cast(pl.Int64),
        inferences=pl.col("chosen_by").append(pl.col("rejected_by")).drop_nulls(),
        events=pl.col("event").drop_nulls(),
    )
    ids = pl.col("inferences", "events").list.unique().list.sort()
    return grouped.select(*PAIR, *_SAME, "builder", "simulated", "whole", "votes", ids)
