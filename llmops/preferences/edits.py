"""Edits: the text that a person made of an answer, over the answer."""

from typing import TYPE_CHECKING

from llmops.preferences.log import keyed
from llmops.preferences.report import Tally
from llmops.spec.preferences import Edits

if TYPE_CHECKING:
    import polars as pl

NAME = "edits"


def edits(events: "pl.DataFrame", options: Edits, tally: Tally) -> "pl.DataFrame":
    """Opinions of the `edit` events."""
    import polars as pl

    kept = events
    if options.min_change > 0:
        kept = events.filter(_changed() >= options.min_change)
        tally.drop(events.height - kept.height, "events", "too little was changed", NAME)
    return kept.select(
        *("prompt_hash", "messages"),
        chosen="text",
        rejected="response",
        chosen_key=keyed("text"),
        rejected_key="key",
        chosen_by=pl.lit(None, pl.String),
        rejected_by="inference",
        whole=pl.lit(True),
        rater="rater",
        event="id",
        time="time",
        builder=pl.lit(NAME),
        simulated="simulated",
    )


def _changed() -> "pl.Expr":
    """The share of the distinct words of both texts that stand in one of them only."""
    import polars as pl

    before, after = (
        pl.col(text).fill_null("").str.extract_all(r"\S+").list.unique()
        for text in ("response", "text")
    )
    words = before.list.set_union(after).list.len()
    only = before.list.set_symmetric_difference(after).list.len()
    return pl.when(words == 0).then(0.0).otherwise(only / words)
