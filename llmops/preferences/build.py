"""From a feedback log to pairs (or single judged answers), with a report of what was left out.

Pure: the same log and the same recipe give the same rows in the same order. No loop over rows:
Polars does it all.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmops.preferences import length
from llmops.preferences.builders import BUILDERS, ORDER
from llmops.preferences.holdout import split
from llmops.preferences.log import KINDS, Log, countable
from llmops.preferences.majority import comparable, decide
from llmops.preferences.prompts import turns
from llmops.preferences.report import Length, Report, Tally
from llmops.spec.preferences import PreferencesRecipe

if TYPE_CHECKING:
    import polars as pl

PAIR_COLUMNS = (
    *("prompt_hash", "prompt", "chosen", "rejected", "builder", "agreement", "votes", "raters"),
    *("inferences", "events", "split", "source"),
)


@dataclass(frozen=True)
class Built:
    """rows: the columns of pairs.parquet, sorted; report: how they came about."""

    rows: "pl.DataFrame"
    report: Report


def build(log: Log, recipe: PreferencesRecipe) -> Built:
    """The rows that the log yields under this recipe."""
    from llmops.preferences.unpaired import build_unpaired

    tally = Tally()
    events = countable(log, recipe, tally)
    if recipe.layout == "unpaired":
        rows = build_unpaired(events, recipe, tally)
        made: dict[str, int] = {}
    else:
        opinions, made = _opinions(events, recipe, tally)
        rows = _pairs(opinions, recipe, tally)
    return Built(rows, _report(log, events, rows, made, tally))


def _opinions(
    events: "pl.DataFrame", recipe: PreferencesRecipe, tally: Tally
) -> tuple["pl.DataFrame", dict[str, int]]:
    import polars as pl

    found, made = [], {}
    for name, options in recipe.builders.used.items():
        if name in BUILDERS:
            own = events.filter(pl.col("kind") == KINDS[name])
            opinions = BUILDERS[name](own, options, tally)
            made[name] = opinions.height
            found.append(opinions)
    return pl.concat(found), made


def _pairs(opinions: "pl.DataFrame", recipe: PreferencesRecipe, tally: Tally) -> "pl.DataFrame":

    pairs = decide(comparable(opinions, tally), recipe.agreement, tally)
    whole = pairs.filter("whole")
    tally.drop(pairs.height - whole.height, "pairs", "the chosen answer is unfinished")
    pairs = with_prompts(whole, tally, "pairs").with_columns(split=split(recipe.holdout))
    pairs = pairs.sort("prompt_hash", "chosen", "rejected")
    pairs = length.limited(pairs, recipe.length_bias, tally)
    return pairs.with_columns(source=source()).select(PAIR_COLUMNS)


def source() -> "pl.Expr":
    import polars as pl

    return pl.when("simulated").then(pl.lit("simulated")).otherwise(None)


def with_prompts(rows: "pl.DataFrame", tally: Tally, unit: str) -> "pl.DataFrame":
    """`prompt`: the turns, for rows whose prompt can be trained on."""
    asked = turns(rows["messages"]).rename({"turns": "prompt"})
    kept = rows.join(asked, on="messages", how="inner", maintain_order="left")
    reason = "the prompt is no plain chat (tools, parts, or turns out of order)"
    tally.drop(rows.height - kept.height, "answers" if unit == "answers" else "pairs", reason)
    return kept


def _report(
    log: Log, events: "pl.DataFrame", rows: "pl.DataFrame", made: dict[str, int], tally: Tally
) -> Report:
    import polars as pl

    kinds = dict(log.events.group_by("kind").len().sort("kind").iter_rows())
    train = rows.filter(pl.col("split") == "train")
    unpaired = "label" in rows.columns
    by = dict(rows.group_by("builder").len().iter_rows())
    lengths: Length = length.measured_singly(train) if unpaired else length.measured(train)
    return Report(
        events=kinds,
        inferences=log.inferences.height,
        first=events["time"].min(),
        last=events["time"].max(),
        raters=events["rater"].n_unique(),
        opinions=made,
        pairs={name: by[name] for name in ORDER if name in by},
        train=train.height,
        holdout=rows.height - train.height,
        good=int(rows["label"].sum()) if unpaired else None,
        drops=tally.drops(),
        length=lengths,
        simulated=rows["source"].is_not_null().sum(),
    )
