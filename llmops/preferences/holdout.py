"""The hold-out: prompts that never train, told by their hash alone.

So the same prompts are held out in every later snapshot, whatever else the log holds by then; a
larger share holds out the same prompts and more.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

_FIGURES = 8


def split(share: float) -> "pl.Expr":
    """`holdout` or `train`, from `prompt_hash` (hexadecimal; one that is not never trains)."""
    import polars as pl

    number = pl.col("prompt_hash").str.tail(_FIGURES).str.to_integer(base=16, strict=False)
    held = (number.fill_null(0) / 16**_FIGURES) < share
    return pl.when(held).then(pl.lit("holdout")).otherwise(pl.lit("train"))
