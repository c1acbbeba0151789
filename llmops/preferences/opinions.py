"""Opinions: what one rater thinks of two answers to one prompt. Builders make them of events.

A frame with a row for each: prompt_hash, messages (JSON text), chosen, rejected (texts),
chosen_key, rejected_key (of the texts, white space aside), chosen_by, rejected_by (the inference
that gave it, or null), whole (the chosen side was finished), rater, event, time, builder,
simulated.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

COLUMNS = (
    *("prompt_hash", "messages", "chosen", "rejected", "chosen_key", "rejected_key"),
    *("chosen_by", "rejected_by", "whole", "rater", "event", "time", "builder", "simulated"),
)


def between(events: "pl.DataFrame", builder: str, first_wins: "pl.Expr") -> "pl.DataFrame":
    """Opinions of events that name two answers, `inference` and `other`.

    first_wins: whether `inference` is the better one; never null.
    """
    import polars as pl

    def side(first: str, second: str, *, chosen: bool) -> "pl.Expr":
        return pl.when(first_wins if chosen else ~first_wins).then(first).otherwise(second)

    return events.select(
        *("prompt_hash", "messages"),
        chosen=side("response", "response_other", chosen=True),
        rejected=side("response", "response_other", chosen=False),
        chosen_key=side("key", "key_other", chosen=True),
        rejected_key=side("key", "key_other", chosen=False),
        chosen_by=side("inference", "other", chosen=True),
        rejected_by=side("inference", "other", chosen=False),
        whole=side("whole", "whole_other", chosen=True),
        rater="rater",
        event="id",
        time="time",
        builder=pl.lit(builder),
        simulated="simulated",
    )
