"""Prompts of the log as turns that an engine can train on, and those that never train.

A chat of texts: at most one system turn, then user and assistant in turns, the user's last. Tools,
images and other parts are not covered: their pairs are left out, with a count. What is held out is
told by the prompt's hash alone: the same prompts in every later snapshot, whatever else the log
holds by then; a larger share holds out the same and more.
"""

from typing import TYPE_CHECKING

from llmops.preferences.log import Log
from llmops.preferences.report import Tally, Unit

if TYPE_CHECKING:
    import polars as pl

# A quote inside a JSON string is escaped, so this is found at keys only.
_PARTS = r'"content"\s*:\s*[\[{]'
_ORDER = r"^s?(ua)*u$"
_FIGURES = 8
"""Of a hash, what decides whether its prompt is held out."""


def turns(messages: "pl.Series") -> "pl.DataFrame":
    """Unique prompts (JSON texts) as a frame of `messages` and `turns`: a list of role and
    content, null where it cannot be trained on."""
    import polars as pl

    prompts = messages.drop_nulls().unique().alias("messages").to_frame()
    prompts = prompts.filter(~pl.col("messages").str.contains(_PARTS))
    read = prompts.with_columns(turns=_decoded(prompts["messages"]))
    role = pl.element().struct.field("role")
    letters = role.replace_strict(
        ["system", "user", "assistant"], ["s", "u", "a"], default="?", return_dtype=pl.String
    )
    texts = pl.element().struct.field("content").is_not_null()
    good = pl.col("turns").list.eval(letters).list.join("").str.contains(_ORDER)
    good &= pl.col("turns").list.eval(texts).list.all()
    good &= ~pl.col("messages").str.contains(r'"tool_calls"\s*:\s*\[\s*\{')
    return read.filter(good.fill_null(False))


def with_prompts(
    found: "pl.DataFrame", log: Log, asked: "pl.Series", tally: Tally, unit: Unit
) -> "pl.DataFrame":
    """`prompt_hash` and `prompt` (the turns), for rows whose prompt can be trained on.

    asked: for each row an inference with its prompt.
    """
    messages = log.inferences["messages"].gather(asked).alias("messages")
    known = turns(messages).rename({"turns": "prompt"})
    rows = found.drop("prompt").with_columns(
        log.inferences["prompt_hash"].gather(asked).alias("prompt_hash"), messages
    )
    kept = rows.join(known, on="messages", how="inner", maintain_order="left")
    reason = "the prompt is no plain chat (tools, parts, or turns out of order)"
    tally.drop(rows.height - kept.height, unit, reason)
    return kept.drop("messages")


def _decoded(prompts: "pl.Series") -> "pl.Series":
    import polars as pl

    kind = pl.List(pl.Struct({"role": pl.String, "content": pl.String}))
    try:
        return prompts.str.json_decode(kind)
    except pl.exceptions.ComputeError:
        # Something in the log is no list of messages: only then is each looked at alone.
        return pl.Series([_one(text) for text in prompts], dtype=kind)


def _one(text: str) -> list[dict[str, str]] | None:
    import json

    try:
        value = json.loads(text)
    except ValueError:
        return None
    good = isinstance(value, list) and all(isinstance(turn, dict) for turn in value)
    if not good or not all(isinstance(turn.get("content"), str) for turn in value):
        return None
    return [{"role": str(turn.get("role")), "content": turn["content"]} for turn in value]


def split(share: float) -> "pl.Expr":
    """`holdout` or `train`, from `prompt_hash` (hexadecimal; one that is not never trains)."""
    import polars as pl

    number = pl.col("prompt_hash").str.tail(_FIGURES).str.to_integer(base=16, strict=False)
    held = (number.fill_null(0) / 16**_FIGURES) < share
    return pl.when(held).then(pl.lit("holdout")).otherwise(pl.lit("train"))
