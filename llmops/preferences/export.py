"""Exporting a snapshot for other tools.

  trl           train and test splits as JSON Lines with TRL's conversational columns: prompt,
                chosen, rejected as lists of messages (prompt, completion, label for KTO)
  llamafactory  the files as LLaMA-Factory reads them, with their dataset_info.json
  jsonl         all rows with their splits, counts and the ids that they came from

Columns of TRL: https://huggingface.co/docs/trl/dataset_formats (preference, unpaired preference).
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from llmops.errors import BadInput
from llmops.preferences import rows
from llmops.preferences.snapshot import CARD, Snapshot
from llmops.spec.source import display
from llmops.spec.suggest import did_you_mean
from llmops.store.atomic import new_directory

if TYPE_CHECKING:
    import polars as pl


def export(snapshot: Snapshot, format: str, output: Path) -> list[Path]:
    """Write the snapshot into the new directory `output`; the files.

    Raises BadInput when it exists or the format is none of FORMATS, Failed when the disk is full.
    """
    import shutil

    import polars as pl

    if format not in FORMATS:
        raise BadInput(f"unknown format `{format}`", fix=did_you_mean(format, FORMATS))
    if output.exists():
        raise BadInput("it exists already", where=display(output), fix="name a new directory")
    found = pl.read_parquet(snapshot.pairs)
    with new_directory(output.resolve()) as folder:
        _WRITERS[format](found, folder)
        shutil.copyfile(snapshot.directory / CARD, folder / "README.md")
        names = sorted(file.name for file in folder.iterdir())
    return [output / name for name in names]


def _trl(found: "pl.DataFrame", folder: Path) -> None:
    import polars as pl

    def turn(text: str) -> "pl.Expr":
        message = pl.struct(role=pl.lit("assistant"), content=pl.col(text))
        return pl.concat_list(message)

    if rows.layout_of(found) == "kto":
        columns = {
            "prompt": pl.col("prompt"),
            "completion": turn("answer"),
            "label": pl.col("label"),
        }
    else:
        columns = {
            "prompt": pl.col("prompt"),
            "chosen": turn("chosen"),
            "rejected": turn("rejected"),
        }
    for name, split in (("train.jsonl", "train"), ("test.jsonl", "holdout")):
        part = found.filter(pl.col("split") == split).select(**columns)
        if part.height:
            part.write_ndjson(folder / name)


def _llamafactory(found: "pl.DataFrame", folder: Path) -> None:
    from llmops.engines.contract import DataSet
    from llmops.engines.llamafactory.datasets import data_files, info_text

    digests = rows.write_lines(found, folder)
    columns = {name: name for name in rows.trained(found).columns}
    entries = {}
    for name, digest in digests.items():
        if not (folder / name).stat().st_size:
            (folder / name).unlink()
            continue
        # A relative file name is looked up beside dataset_info.json.
        data = DataSet(Path(name), rows.layout_of(found), columns, found.height, digest)
        entries[Path(name).stem] = next(iter(data_files([data], "", folder).entries.values()))
    (folder / "dataset_info.json").write_text(info_text(entries), encoding="utf-8")


def _jsonl(found: "pl.DataFrame", folder: Path) -> None:
    found.write_ndjson(folder / "rows.jsonl")


_WRITERS: dict[str, Callable[["pl.DataFrame", Path], None]] = {
    "trl": _trl,
    "llamafactory": _llamafactory,
    "jsonl": _jsonl,
}
FORMATS = tuple(_WRITERS)
