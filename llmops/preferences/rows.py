"""The rows of a snapshot as files: Parquet, and JSON Lines in the layouts that engines read."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmops.preferences import length
from llmops.preferences.snapshot import HOLDOUT, PAIRS, TRAIN, SnapshotLayout
from llmops.store.digest import sha256_file

if TYPE_CHECKING:
    import polars as pl

_SLICE = 20_000
_TEXTS = ("chosen", "rejected", "answer")


def layout_of(rows: "pl.DataFrame") -> SnapshotLayout:
    return "kto" if "label" in rows.columns else "preference"


def figures(rows: "pl.DataFrame", builders: Iterable[str]) -> dict[str, Any]:
    """What a report (report.py) says of the rows; of each of these builders, how many it made."""
    import polars as pl

    train = rows.filter(pl.col("split") == "train")
    unpaired = layout_of(rows) == "kto"
    by = dict(rows.group_by("builder").len().iter_rows())
    return {
        "pairs": {name: by.get(name, 0) for name in builders},
        "train": train.height,
        "holdout": rows.height - train.height,
        "good": int(rows["label"].sum()) if unpaired else None,
        "length": length.measured_singly(train) if unpaired else length.measured(train),
        "simulated": int(rows["source"].is_not_null().sum()),
    }


def digest(rows: "pl.DataFrame") -> str:
    """sha256 over all that the rows say, in their order; the prompt by its hash."""
    import polars as pl

    def parts(name: str) -> list["pl.Expr"]:
        column, kind = pl.col(name), rows.schema[name]
        if kind == pl.List(pl.String):
            return [column.list.join(",")]
        if name in _TEXTS:  # with its length, so that no text is taken for the next column
            return [column.str.len_bytes().cast(pl.String), column]
        return [column.cast(pl.String).fill_null("")]

    columns = [part for name in rows.columns if name != "prompt" for part in parts(name)]
    line = pl.concat_str(columns, separator="\n")
    found = hashlib.sha256(",".join(rows.columns).encode())
    for piece in rows.iter_slices(_SLICE):
        found.update(piece.select(line.str.join("\n")).item().encode())
    return found.hexdigest()


def trained(rows: "pl.DataFrame") -> "pl.DataFrame":
    """The columns of data layout `preference` or `kto` (llmops/data/layouts.py)."""
    import polars as pl

    def turn(text: str) -> "pl.Expr":
        return pl.struct(role=pl.lit("assistant"), content=pl.col(text))

    if layout_of(rows) == "kto":
        answered = pl.concat_list("prompt", turn("answer"))
        return rows.select(messages=answered, label="label")
    return rows.select(messages="prompt", chosen=turn("chosen"), rejected=turn("rejected"))


def write(rows: "pl.DataFrame", directory: Path) -> dict[str, str]:
    """Write the data files of a snapshot; sha256 by name."""
    rows.write_parquet(directory / PAIRS, compression_level=1)
    return {**write_lines(rows, directory), PAIRS: sha256_file(directory / PAIRS)}


def write_lines(rows: "pl.DataFrame", directory: Path) -> dict[str, str]:
    """train.jsonl and holdout.jsonl; sha256 by name."""
    import polars as pl

    digests = {}
    for name, split in ((TRAIN, "train"), (HOLDOUT, "holdout")):
        trained(rows.filter(pl.col("split") == split)).write_ndjson(directory / name)
        digests[name] = sha256_file(directory / name)
    return digests
