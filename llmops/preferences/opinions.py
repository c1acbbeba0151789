"""Opinions: what one rater thinks of two answers to one prompt. Builders make them of events.

A frame with a row for each, oldest first:
  prompt, chosen_key, rejected_key   numbers for the texts (log.keys), null for a blank one
  chosen_row, rejected_row           the inferences with the texts; chosen_row null for an edit
  edit                               the event whose text is the chosen one, else null
  chosen_by, rejected_by             the inferences that the rater speaks of, or null
  whole                              the chosen side was finished
  rater, event, simulated            who says so, where, and whether a simulated one
All that is a row is one of the log's frames.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

COLUMNS = (
    *("prompt", "chosen_key", "rejected_key", "chosen_row", "rejected_row", "edit"),
    *("chosen_by", "rejected_by", "whole", "rater", "event", "simulated"),
)


def between(events: "pl.DataFrame", first_wins: "pl.Expr") -> "pl.DataFrame":
    """Opinions of events that name two answers, `inference` and `other`.

    first_wins: whether `inference` is the better one; never null.
    """
    import polars as pl

    def side(first: str, second: str, *, chosen: bool) -> "pl.Expr":
        return pl.when(first_wins if chosen else ~first_wins).then(first).otherwise(second)

    return events.select(
        prompt="prompt",
        chosen_key=side("key", "key_other", chosen=True),
        rejected_key=side("key", "key_other", chosen=False),
        chosen_row=side("inference", "other", chosen=True),
        rejected_row=side("inference", "other", chosen=False),
        edit=pl.lit(None, pl.UInt32),
        chosen_by=side("inference", "other", chosen=True),
        rejected_by=side("inference", "other", chosen=False),
        whole=side("whole", "whole_other", chosen=True),
        rater="rater",
        event="event",
        simulated="simulated",
    )


def no_opinions() -> "pl.DataFrame":
    import polars as pl

    kinds: dict[str, type[pl.DataType]] = {"whole": pl.Boolean, "simulated": pl.Boolean}
    kinds |= dict.fromkeys(("prompt", "chosen_key", "rejected_key", "rater"), pl.UInt64)
    return pl.DataFrame(schema={name: kinds.get(name, pl.UInt32) for name in COLUMNS})
