"""Edits: the text that a person made of an answer, over the answer."""

from typing import TYPE_CHECKING

from llmops.preferences.log import Log, keys, sieve
from llmops.preferences.report import Tally
from llmops.spec.preferences import Edits

if TYPE_CHECKING:
    import polars as pl


def edits(events: "pl.DataFrame", log: Log, options: Edits, tally: Tally) -> "pl.DataFrame":
    """Opinions of the `edit` events."""
    import polars as pl

    if options.min_change > 0:
        share = _changed(events, log)
        low = pl.lit(share) < options.min_change - 1e-9
        events = sieve(events, [(low, "too little was edited")], tally)
    return events.select(
        prompt="prompt",
        chosen_key=keys(log.events["text"].gather(events["event"])),
        rejected_key="key",
        chosen_row=pl.lit(None, pl.UInt32),
        rejected_row="inference",
        edit="event",
        chosen_by=pl.lit(None, pl.UInt32),
        rejected_by="inference",
        whole=pl.lit(True),
        rater="rater",
        event="event",
        simulated="simulated",
    )


def _changed(events: "pl.DataFrame", log: Log) -> "pl.Series":
    """The share of the distinct words of both texts that stand in one of them only."""
    import polars as pl

    texts = pl.DataFrame(
        {
            "before": log.inferences["response"].gather(events["inference"]),
            "after": log.events["text"].gather(events["event"]),
        }
    )
    before, after = (
        pl.col(side).fill_null("").str.extract_all(r"\S+").list.unique()
        for side in ("before", "after")
    )
    words = before.list.set_union(after).list.len()
    only = before.list.set_symmetric_difference(after).list.len()
    share = pl.when(words == 0).then(0.0).otherwise(only / words)
    return texts.select(share.alias("share"))["share"]
