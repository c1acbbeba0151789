"""The feedback log of one deployment as two frames, and which of its events may count.

Columns are named as in llmops/store/tables.py, or truth values made of those (source.py). From here
to the finished pairs an answer is its row in the frame and a number for its text, so that a million
events fit in little memory; the texts are fetched for what survives. Nothing here loops over rows.
What an event means is the builders' matter.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmops.preferences.report import Tally, Unit
from llmops.spec.grammar import seconds
from llmops.spec.preferences import PreferencesRecipe

if TYPE_CHECKING:
    import polars as pl

INFERENCE_COLUMNS = (
    *("id", "time", "asker", "prompt_hash", "messages", "response"),
    *("whole", "broken", "erased", "completion", "simulated"),
)
"""asker: the user, else the session, else the unit, else the inference itself; whole: it was
finished; broken: it ended in an error; completion: it is no chat."""
EVENT_COLUMNS = (
    *("id", "time", "inference", "other", "kind", "value", "choice", "text", "user"),
    *("erased", "simulated"),
)
KINDS = {
    "votes": "choice",
    "edits": "edit",
    "regenerations": "regenerate",
    "ratings": "rating",
    "thumbs": "thumbs",
}
"""The kind of event that each builder reads."""
_CHUNK = 100_000


@dataclass(frozen=True)
class Log:
    """inferences: those that the events name, or more; now: ms since 1970, for `since`."""

    inferences: "pl.DataFrame"
    events: "pl.DataFrame"
    now: int


def keys(texts: "pl.Series") -> "pl.Series":
    """A number for each text, the same for texts that differ in white space only; null for those
    that are missing or blank."""
    import polars as pl

    # Single spaces, which are most, are left as they are: replacing them takes longest.
    plain = pl.col("text").str.replace_all(r"\s{2,}|[^\S ]", " ").str.strip_chars()
    number = pl.when(plain.str.len_bytes() > 0).then(plain.hash(1))
    frame = texts.alias("text").to_frame()
    parts = [part.select(number) for part in frame.iter_slices(_CHUNK)]
    return pl.concat(parts).to_series() if parts else pl.Series(dtype=pl.UInt64)


def sieve(
    frame: "pl.DataFrame", bad: Sequence[tuple["pl.Expr", str]], tally: Tally, unit: Unit = "events"
) -> "pl.DataFrame":
    """Rows that none of the conditions holds for; the others are tallied under their first."""
    import polars as pl

    why: pl.Expr = pl.lit(None, pl.Int8)
    for number, (condition, _) in reversed(list(enumerate(bad))):
        why = pl.when(condition.fill_null(False)).then(pl.lit(number, pl.Int8)).otherwise(why)
    found = frame.select(why.alias("why"))["why"]
    for number, count in found.drop_nulls().value_counts().sort("why").iter_rows():
        tally.drop(count, unit, bad[number][1])
    return frame.filter(found.is_null())


def answers(inferences: "pl.DataFrame", recipe: PreferencesRecipe) -> "pl.DataFrame":
    """What decides about each inference: a row for each, without its texts.

    prompt: a number for it; hidden: simulated, and not wanted; asker: a number for who asked.
    """
    import polars as pl

    return inferences.select(
        *("whole", "broken", "erased", "completion", "simulated"),
        prompt=pl.col("prompt_hash").hash(2),
        hidden=pl.lit(False) if recipe.simulated else pl.col("simulated"),
        asker=pl.col("asker").hash(3),
    )


def source() -> "pl.Expr":
    """What a snapshot says of `simulated`."""
    import polars as pl

    return pl.when("simulated").then(pl.lit("simulated")).alias("source")


def countable(log: Log, recipe: PreferencesRecipe, tally: Tally) -> "pl.DataFrame":
    """The events that a builder reads and that nothing speaks against, oldest first.

    Of one rater the newest word on the same answers counts, and at most `per_rater` of all.
    Columns: event, inference, other (rows of the log's frames), time, kind, value, choice, rater,
    prompt, key, whole, prompt_other, key_other, whole_other, simulated.
    """
    events = _wanted(log, recipe, tally)
    events = _located(events, log)
    events = _answered(events, answers(log.inferences, recipe), tally)
    events = _newest(events, tally)
    events = _capped(events, recipe.per_rater, tally)
    return _keyed(events, log)


def _wanted(log: Log, recipe: PreferencesRecipe, tally: Tally) -> "pl.DataFrame":
    """Oldest first."""
    import polars as pl

    kinds = [KINDS[name] for name in recipe.builders.used if name in KINDS]
    bad = [
        (~pl.col("kind").is_in(kinds), "no builder of this recipe reads it"),
        (pl.col("erased"), "erased"),
    ]
    if recipe.since is not None:
        oldest = log.now - int(seconds(recipe.since) * 1000)
        bad.append((pl.col("time") < oldest, f"older than {recipe.since}"))
    if not recipe.simulated:
        bad.append((pl.col("simulated"), "simulated, and `simulated` is off"))
    own = pl.when(pl.col("user").is_not_null()).then(pl.col("user").hash(3))
    events = sieve(log.events.with_row_index("event"), bad, tally).select(
        *("event", "time", "id", "inference", "other", "kind", "value", "choice", "simulated"),
        user=own,
    )
    return events.sort("time", "id").drop("id")


def _located(events: "pl.DataFrame", log: Log) -> "pl.DataFrame":
    """The rows of the answers in place of their ids; `two`: a second one was named."""
    import polars as pl

    known = log.inferences.select("id").with_row_index("row")
    events = events.with_columns(two=pl.col("other").is_not_null())
    for name in ("inference", "other"):
        found = events.select(id=name).join(known, on="id", how="left", maintain_order="left")
        events = events.with_columns(found["row"].alias(name))
    return events


def _answered(events: "pl.DataFrame", known: "pl.DataFrame", tally: Tally) -> "pl.DataFrame":
    """With what decides about the answers; `_other` columns are the second answer's."""
    import polars as pl

    for name, suffix in (("inference", ""), ("other", "_other")):
        about = [column.gather(events[name]).alias(column.name + suffix) for column in known]
        pretended = f"simulated{suffix}" if suffix else "simulated"
        asked = {one.name: one for one in about}
        made = asked.pop(pretended).fill_null(False)
        events = events.with_columns(asked.values()).with_columns(pl.col("simulated") | made)

    def either(name: str) -> "pl.Expr":
        return pl.col(name) | pl.col(f"{name}_other").fill_null(False)

    missing = pl.col("inference").is_null() | (pl.col("two") & pl.col("other").is_null())
    bad = [
        (missing, "about an answer that is not in the log"),
        (either("erased"), "about an erased answer"),
        (either("hidden"), "simulated, and `simulated` is off"),
        (either("broken"), "about an answer that ended in an error"),
        (either("completion"), "about a plain completion, which is no chat"),
    ]
    return sieve(events, bad, tally).select(
        *("event", "inference", "other", "time", "kind", "value", "choice"),
        *("prompt", "whole", "prompt_other", "whole_other", "simulated"),
        rater=pl.coalesce("user", "asker"),
    )


def _newest(events: "pl.DataFrame", tally: Tally) -> "pl.DataFrame":
    """A choice between two answers is the same whichever is named first."""
    import polars as pl

    low, high = pl.min_horizontal("inference", "other"), pl.max_horizontal("inference", "other")
    said = pl.struct("rater", "kind", low.alias("low"), high.alias("high"))
    last = events.select(last=said.is_last_distinct())["last"]
    tally.drop(int((~last).sum()), "events", "replaced by the same rater later on")
    return events.filter(last)


def _capped(events: "pl.DataFrame", per_rater: int | None, tally: Tally) -> "pl.DataFrame":
    import polars as pl

    if per_rater is None:
        return events
    from_last = pl.int_range(pl.len(), 0, -1).over("rater")
    return sieve(events, [(from_last > per_rater, f"beyond {per_rater:,} of one rater")], tally)


def _keyed(events: "pl.DataFrame", log: Log) -> "pl.DataFrame":
    """With numbers for the texts of the answers."""
    import polars as pl

    rows = pl.concat([events["inference"], events["other"].drop_nulls()]).unique()
    numbers = pl.Series("key", [None], pl.UInt64).new_from_index(0, log.inferences.height)
    numbers = numbers.scatter(rows, keys(log.inferences["response"].gather(rows)))
    return events.with_columns(
        key=numbers.gather(events["inference"]), key_other=numbers.gather(events["other"])
    )
