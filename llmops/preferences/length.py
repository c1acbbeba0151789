"""Length bias: whether what was chosen is mostly the longer (or the shorter) side.

A model that learns from such pairs learns length first. It is always measured, and limited when a
recipe asks for it: pairs of the more frequent kind go, those furthest apart in length first.
"""

import math
from typing import TYPE_CHECKING

from llmops.preferences.report import Length, Tally

if TYPE_CHECKING:
    import polars as pl


def measured(pairs: "pl.DataFrame") -> Length:
    import polars as pl

    if not pairs.height:
        return Length()
    chosen, rejected = pl.col("chosen").str.len_chars(), pl.col("rejected").str.len_chars()
    longer, ratio = pairs.select(
        longer=(chosen > rejected).mean(), ratio=(chosen / rejected).mean()
    ).row(0)
    return Length(chosen_longer=longer, ratio=ratio)


def measured_singly(answers: "pl.DataFrame") -> Length:
    """Of unpaired answers: whether the good ones are the longer on average."""
    import polars as pl

    size = pl.col("answer").str.len_chars().mean()
    good, bad = (
        answers.filter(which).select(size).item() for which in (pl.col("label"), ~pl.col("label"))
    )
    if not good or not bad:
        return Length()
    return Length(chosen_longer=float(good > bad), ratio=good / bad)


def limited(pairs: "pl.DataFrame", limit: float | None, tally: Tally) -> "pl.DataFrame":
    """Pairs of which at most the share `limit` has the longer, and the shorter, side chosen.

    Pairs that are held out stay: they measure what is there.
    """
    import polars as pl

    if limit is None or limit >= 1:
        return pairs
    chosen, rejected = pl.col("chosen").str.len_chars(), pl.col("rejected").str.len_chars()
    apart = (chosen.cast(pl.Float64) / rejected).log()
    pairs = pairs.with_columns(apart=apart).with_row_index("row")
    train = pairs.filter(pl.col("split") == "train")
    out: list[pl.Series] = []
    for kind, word in ((pl.col("apart") > 0, "longer"), (pl.col("apart") < 0, "shorter")):
        some = train.filter(kind)
        allowed = math.floor(limit * (train.height - some.height) / (1 - limit) + 1e-9)
        surplus = some.height - allowed
        if surplus > 0:
            furthest = some.sort(pl.col("apart").abs(), "row", descending=[True, False])
            out.append(furthest["row"].head(surplus))
            reason = f"the {word} side is chosen in more than {limit:.0%} of the pairs"
            tally.drop(surplus, "pairs", reason)
    if out:
        pairs = pairs.filter(~pl.col("row").is_in(pl.concat(out).implode()))
    return pairs.drop("row", "apart")
