"""Pairwise choices: the answer that was chosen over the other. Ties and `both bad` make none."""

from typing import TYPE_CHECKING

from llmops.preferences.opinions import between
from llmops.preferences.report import Tally
from llmops.spec.preferences import Votes

if TYPE_CHECKING:
    import polars as pl

NAME = "votes"


def votes(events: "pl.DataFrame", options: Votes, tally: Tally) -> "pl.DataFrame":
    """Opinions of the `choice` events."""
    import polars as pl

    for choice, reason in (("tie", "a tie"), ("both_bad", "both answers are bad")):
        kept = events.filter(pl.col("choice").ne_missing(choice))
        tally.drop(events.height - kept.height, "events", reason, NAME)
        events = kept
    return between(same_prompt(events, NAME, tally), NAME, pl.col("choice") == "first")


def same_prompt(events: "pl.DataFrame", builder: str, tally: Tally) -> "pl.DataFrame":
    """Only answers to the same prompt can be compared."""
    import polars as pl

    kept = events.filter(pl.col("other").is_not_null())
    tally.drop(events.height - kept.height, "events", "names one answer only", builder)
    same = kept.filter(pl.col("prompt_hash") == pl.col("prompt_hash_other"))
    tally.drop(kept.height - same.height, "events", "the answers have different prompts", builder)
    return same
