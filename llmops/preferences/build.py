"""From a feedback log to pairs (or single judged answers), with a report of what was left out.

Pure: the same log and the same recipe give the same rows in the same order. No loop over rows:
Polars does it all.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmops.preferences import length
from llmops.preferences.builders import BUILDERS, ORDER
from llmops.preferences.judge import Candidate, Judged, judged
from llmops.preferences.log import KINDS, Log, countable, source
from llmops.preferences.majority import comparable, decide
from llmops.preferences.opinions import COLUMNS as OPINION_COLUMNS
from llmops.preferences.prompts import split, with_prompts
from llmops.preferences.report import Report, Tally
from llmops.preferences.rows import figures
from llmops.preferences.unpaired import build_unpaired
from llmops.preferences.verdicts import Kept
from llmops.spec.preferences import PreferencesRecipe

if TYPE_CHECKING:
    import polars as pl

PAIR_COLUMNS = (
    *("prompt_hash", "prompt", "chosen", "rejected", "builder", "agreement", "votes", "raters"),
    *("inferences", "events", "split", "source"),
)


@dataclass(frozen=True)
class Built:
    """rows: the columns of pairs.parquet, sorted; report: how they came about; to_ask: answers
    that a judge has yet to compare with a second one."""

    rows: "pl.DataFrame"
    report: Report
    to_ask: tuple[Candidate, ...] = ()


def build(log: Log, recipe: PreferencesRecipe, kept: Kept | None = None) -> Built:
    """The rows that the log yields under this recipe. kept: verdicts of a judge by now."""
    tally = Tally()
    events = countable(log, recipe, tally)
    report = _of_events(log, events)
    to_ask: tuple[Candidate, ...] = ()
    if recipe.layout == "unpaired":
        rows = build_unpaired(events, log, recipe, tally)
    else:
        opinions = _opinions(events, log, recipe, tally)
        del events
        if recipe.builders.judge is not None:
            found = _judged(opinions, log, recipe, kept or {}, tally)
            log, to_ask, opinions["judge"] = found.log, found.to_ask, found.opinions
        made = {name: frame.height for name, frame in opinions.items()}
        report = report.model_copy(update={"opinions": made, "to_ask": len(to_ask)})
        rows = _pairs(_concat(opinions), log, recipe, tally)
    return Built(rows, _of_rows(report, rows, tally), to_ask)


def _judged(
    opinions: dict[str, "pl.DataFrame"],
    log: Log,
    recipe: PreferencesRecipe,
    kept: Kept,
    tally: Tally,
) -> Judged:
    """What the judge says of prompts that the others make no pair of."""
    unseen = Tally()
    others = comparable(_concat(opinions), unseen)
    paired = decide(others, log, recipe.agreement, unseen)["prompt"].unique()
    with tally.of("judge"):
        return judged(log, paired, recipe, kept, tally)


def _opinions(
    events: "pl.DataFrame", log: Log, recipe: PreferencesRecipe, tally: Tally
) -> dict[str, "pl.DataFrame"]:
    import polars as pl

    found = {}
    for name, options in recipe.builders.used.items():
        if name in BUILDERS:
            own = events.filter(pl.col("kind") == KINDS[name])
            with tally.of(name):
                found[name] = BUILDERS[name](own, log, options, tally).select(OPINION_COLUMNS)
    return found


def _concat(opinions: dict[str, "pl.DataFrame"]) -> "pl.DataFrame":
    """All opinions; `builder` is its place in ORDER."""
    import polars as pl

    from llmops.preferences.opinions import no_opinions

    said = [
        frame.with_columns(builder=pl.lit(ORDER.index(name), pl.Int8))
        for name, frame in opinions.items()
    ]
    return pl.concat(said or [no_opinions().with_columns(builder=pl.lit(0, pl.Int8))])


def _pairs(
    opinions: "pl.DataFrame", log: Log, recipe: PreferencesRecipe, tally: Tally
) -> "pl.DataFrame":
    import polars as pl

    pairs = decide(comparable(opinions, tally), log, recipe.agreement, tally)
    whole = pairs.filter("whole")
    tally.drop(pairs.height - whole.height, "pairs", "the chosen answer is unfinished")
    texts = log.inferences["response"]
    names = pl.col("builder").replace_strict(dict(enumerate(ORDER)), return_dtype=pl.String)
    pairs = whole.with_columns(
        names,
        texts.gather(whole["chosen_row"]).alias("chosen"),
        texts.gather(whole["rejected_row"]).alias("rejected"),
        log.events["text"].gather(whole["edit"]).alias("edited"),
    ).with_columns(chosen=pl.coalesce("edited", "chosen"))
    pairs = with_prompts(pairs, log, pairs["rejected_row"], tally, "pairs")
    pairs = pairs.with_columns(source(), split=split(recipe.holdout))
    pairs = pairs.sort("prompt_hash", "chosen", "rejected")
    return length.limited(pairs, recipe.length_bias, tally).select(PAIR_COLUMNS)


def _of_events(log: Log, events: "pl.DataFrame") -> Report:
    """The part of the report that tells what was said."""
    return Report(
        events=dict(log.events.group_by("kind").len().sort("kind").iter_rows()),
        inferences=log.inferences.height,
        first=events["time"].min(),
        last=events["time"].max(),
        raters=events["rater"].n_unique(),
    )


def _of_rows(report: Report, rows: "pl.DataFrame", tally: Tally) -> Report:
    """With what was made of it."""
    made = figures(rows, ORDER)
    made["pairs"] = {name: count for name, count in made["pairs"].items() if count}
    return report.model_copy(update={**made, "drops": tally.drops()})
