"""From opinions to pairs: on each two answers to a prompt the raters decide by majority.

Each rater has one say on a pair, whatever the number of his opinions; one who contradicts himself
has none.
"""

from typing import TYPE_CHECKING

from llmops.preferences.builders import ORDER
from llmops.preferences.report import Tally

if TYPE_CHECKING:
    import polars as pl

PAIR = ("prompt_hash", "low", "high")


def comparable(opinions: "pl.DataFrame", tally: Tally) -> "pl.DataFrame":
    """Without empty sides, and without sides that are the same but for white space."""
    import polars as pl

    full = opinions.filter(_has_text("chosen") & _has_text("rejected"))
    tally.drop(opinions.height - full.height, "opinions", "a side is empty")
    kept = full.filter(pl.col("chosen_key") != pl.col("rejected_key"))
    tally.drop(full.height - kept.height, "opinions", "both sides are the same text")
    return kept


def _has_text(side: str) -> "pl.Expr":
    import polars as pl

    return pl.col(side).str.contains(r"\S").fill_null(False)


def decide(opinions: "pl.DataFrame", agreement: float, tally: Tally) -> "pl.DataFrame":
    """A row for each pair that enough raters agree on. agreement: the least share of its raters.

    Columns: prompt_hash, messages, chosen, rejected, builder, agreement, votes (opinions for it),
    raters (who had a say), inferences, events, simulated, whole.
    """
    import polars as pl

    said = opinions.with_columns(
        low=pl.min_horizontal("chosen_key", "rejected_key"),
        high=pl.max_horizontal("chosen_key", "rejected_key"),
        side=pl.when(pl.col("chosen_key") < pl.col("rejected_key")).then(1).otherwise(-1),
    )
    counted = _counted(said)
    won = _won(counted, agreement, tally)
    return _gathered(said.join(won, on=[*PAIR, "side"]))


def _counted(said: "pl.DataFrame") -> "pl.DataFrame":
    """for_low: raters who prefer the answer with the lower key; for_high: the other one."""
    import polars as pl

    by_rater = said.group_by(*PAIR, "rater").agg(say=pl.col("side").sum().sign())
    return by_rater.group_by(PAIR).agg(
        for_low=(pl.col("say") > 0).sum().cast(pl.Int64),
        for_high=(pl.col("say") < 0).sum().cast(pl.Int64),
    )


def _won(counted: "pl.DataFrame", agreement: float, tally: Tally) -> "pl.DataFrame":
    """The side that won of each pair that has a winner."""
    import polars as pl

    even = counted.filter(pl.col("for_low") == pl.col("for_high")).height
    tally.drop(even, "pairs", "contradictory: as many raters for either side")
    low, high = pl.col("for_low"), pl.col("for_high")
    clear = counted.filter(low != high).select(
        *PAIR,
        side=pl.when(low > high).then(1).otherwise(-1),
        raters=low + high,
        agreement=pl.max_horizontal(low, high) / (low + high),
    )
    kept = clear.filter(pl.col("agreement") >= agreement - 1e-9)
    reason = f"contradictory: less than {agreement:.0%} of the raters agree"
    tally.drop(clear.height - kept.height, "pairs", reason)
    return kept


def _gathered(kept: "pl.DataFrame") -> "pl.DataFrame":
    """The opinions for each pair as one row with all that they came from."""
    import polars as pl

    rank = pl.col("builder").replace_strict(
        list(ORDER), list(range(len(ORDER))), return_dtype=pl.Int8
    )
    found = (
        kept.with_columns(rank=rank)
        .group_by(PAIR, maintain_order=True)
        .agg(
            pl.col("messages", "chosen", "rejected").first(),
            pl.col("agreement", "raters").first(),
            rank=pl.col("rank").min(),
            votes=pl.len().cast(pl.Int64),
            inferences=pl.concat_list("chosen_by", "rejected_by").explode().drop_nulls(),
            events=pl.col("event"),
            simulated=pl.col("simulated").any(),
            whole=pl.col("whole").any(),
        )
    )
    return found.with_columns(
        pl.col("inferences", "events").list.unique().list.sort(),
        builder=pl.col("rank").replace_strict(
            list(range(len(ORDER))), list(ORDER), return_dtype=pl.String
        ),
    ).drop("low", "high", "rank")
