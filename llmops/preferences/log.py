"""The feedback log of one deployment as two frames, and which of its events may count.

Columns are those of llmops/store/tables.py. Nothing here loops over rows. What an event means is
the builders' matter.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmops.preferences.report import Tally
from llmops.spec.grammar import seconds
from llmops.spec.preferences import PreferencesRecipe

if TYPE_CHECKING:
    import polars as pl

INFERENCE_COLUMNS = (
    *("id", "time", "variant", "version", "user", "session", "unit", "prompt_hash", "messages"),
    *("response", "finish", "error", "source", "redacted", "endpoint"),
)
EVENT_COLUMNS = (
    *("id", "time", "inference", "other", "kind", "value", "choice", "text", "user", "source"),
    "redacted",
)
KINDS = {
    "votes": "choice",
    "edits": "edit",
    "regenerations": "regenerate",
    "ratings": "rating",
    "thumbs": "thumbs",
}
"""The kind of event that each builder reads."""


@dataclass(frozen=True)
class Log:
    """inferences: those that the events name, or more; now: ms since 1970, for `since`."""

    inferences: "pl.DataFrame"
    events: "pl.DataFrame"
    now: int


def keyed(text: str) -> "pl.Expr":
    """A number for a text, the same for texts that differ in white space only; null for null."""
    import polars as pl

    plain = pl.col(text).str.replace_all(r"\s+", " ").str.strip_chars()
    return pl.when(pl.col(text).is_null()).then(None).otherwise(plain.hash(1))


def simulated() -> "pl.Expr":
    import polars as pl

    return pl.col("source").str.starts_with("simulated").fill_null(False)


def answers(log: Log, recipe: PreferencesRecipe) -> "pl.DataFrame":
    """The answers that events name. key: of the text; whole: it was finished; rater: who asked."""
    import polars as pl

    named = pl.concat([log.events["inference"], log.events["other"].drop_nulls()]).unique()
    found = log.inferences.filter(pl.col("id").is_in(named.implode()))
    return describe(found, recipe)


def describe(inferences: "pl.DataFrame", recipe: PreferencesRecipe) -> "pl.DataFrame":
    """Inferences as answers."""
    import polars as pl

    unit = pl.when(pl.col("unit") != "").then(pl.col("unit"))
    hidden = pl.lit(False) if recipe.simulated else simulated()
    return inferences.select(
        *("id", "prompt_hash", "messages", "response"),
        key=keyed("response"),
        whole=(pl.col("finish") == "stop").fill_null(False),
        broken=pl.col("error").is_not_null(),
        erased=pl.col("redacted").is_not_null(),
        hidden=hidden,
        completion=pl.col("endpoint") != "chat",
        simulated=simulated(),
        asker=pl.coalesce("user", "session", unit, "id"),
    )


def countable(log: Log, recipe: PreferencesRecipe, tally: Tally) -> "pl.DataFrame":
    """The events that a builder reads and that nothing speaks against, with their answers.

    Of one rater the newest word on the same answers counts, and at most `per_rater` of all.
    """
    events = _wanted(log, recipe, tally)
    known = answers(log, recipe)
    events = _answered(events, known, tally)
    events = _newest(events, tally)
    return _capped(events, recipe.per_rater, tally)


def _keep(
    events: "pl.DataFrame", good: "pl.Expr", tally: Tally, reason: str, unit: str = "events"
) -> "pl.DataFrame":
    kept = events.filter(good)
    tally.drop(events.height - kept.height, "events", reason)
    return kept


def _wanted(log: Log, recipe: PreferencesRecipe, tally: Tally) -> "pl.DataFrame":
    import polars as pl

    kinds = [KINDS[name] for name in recipe.builders.used if name in KINDS]
    events = log.events.select(EVENT_COLUMNS)
    events = _keep(events, pl.col("kind").is_in(kinds), tally, "no builder of this recipe reads it")
    events = _keep(events, pl.col("redacted").is_null(), tally, "erased")
    if recipe.since is not None:
        oldest = log.now - int(seconds(recipe.since) * 1000)
        events = _keep(events, pl.col("time") >= oldest, tally, f"older than {recipe.since}")
    if not recipe.simulated:
        events = _keep(events, ~simulated(), tally, "simulated, and `simulated` is off")
    return events.with_columns(simulated=simulated()).drop("source", "redacted")


def _answered(events: "pl.DataFrame", known: "pl.DataFrame", tally: Tally) -> "pl.DataFrame":
    """Events with what they are about; `_other` columns hold the second answer's."""
    import polars as pl

    events = events.join(known, left_on="inference", right_on="id", how="left", suffix="_asked")
    second = known.drop("messages", "asker")
    events = events.join(second, left_on="other", right_on="id", how="left", suffix="_other")
    two = pl.col("other").is_not_null()

    def either(name: str) -> "pl.Expr":
        return pl.col(name).fill_null(False) | (two & pl.col(f"{name}_other").fill_null(False))

    there = pl.col("prompt_hash").is_not_null()
    there &= ~two | pl.col("prompt_hash_other").is_not_null()
    for good, reason in (
        (there, "about an answer that is not in the log"),
        (~either("erased"), "about an erased answer"),
        (~either("hidden"), "simulated, and `simulated` is off"),
        (~either("broken"), "about an answer that ended in an error"),
        (~either("completion"), "about a plain completion, which is no chat"),
    ):
        events = _keep(events, good, tally, reason)
    pretended = pl.col("simulated") | pl.col("simulated_asked")
    return events.with_columns(
        rater=pl.coalesce("user", "asker"),
        simulated=pretended | pl.col("simulated_other").fill_null(False),
    )


def _newest(events: "pl.DataFrame", tally: Tally) -> "pl.DataFrame":
    """A choice between two answers is the same whichever is named first."""
    import polars as pl

    said = events.sort("time", "id").with_columns(
        low=pl.min_horizontal("inference", "other"), high=pl.max_horizontal("inference", "other")
    )
    kept = said.unique(["rater", "kind", "low", "high"], keep="last", maintain_order=True)
    tally.drop(said.height - kept.height, "events", "replaced by the same rater later on")
    return kept.drop("low", "high")


def _capped(events: "pl.DataFrame", per_rater: int | None, tally: Tally) -> "pl.DataFrame":
    import polars as pl

    if per_rater is None:
        return events
    from_last = pl.int_range(pl.len(), 0, -1).over("rater")
    return _keep(events, from_last <= per_rater, tally, f"beyond {per_rater:,} of one rater")
