"""What was said of two answers at once: choices (ties and `both bad` make no pair), and regenerated
answers, of which one was kept over the one that was discarded for it."""

from typing import TYPE_CHECKING

from llmops.preferences.log import Log, sieve
from llmops.preferences.opinions import between
from llmops.preferences.report import Tally
from llmops.spec.preferences import Regenerations, Votes

if TYPE_CHECKING:
    import polars as pl


def votes(events: "pl.DataFrame", log: Log, options: Votes, tally: Tally) -> "pl.DataFrame":
    """Opinions of the `choice` events."""
    import polars as pl

    choice = pl.col("choice")
    bad = [(choice == "tie", "a tie"), (choice == "both_bad", "both answers are bad")]
    chosen = sieve(events, [*bad, (choice.is_null(), "no choice is named")], tally)
    return between(_same_prompt(chosen, tally), choice == "first")


def regenerations(
    events: "pl.DataFrame", log: Log, options: Regenerations, tally: Tally
) -> "pl.DataFrame":
    """Opinions of the `regenerate` events: `inference` was kept."""
    import polars as pl

    return between(_same_prompt(events, tally), pl.lit(True))


def _same_prompt(events: "pl.DataFrame", tally: Tally) -> "pl.DataFrame":
    """Only answers to the same prompt can be compared."""
    import polars as pl

    bad = [
        (pl.col("other").is_null(), "names one answer only"),
        (pl.col("prompt") != pl.col("prompt_other"), "its two answers have different prompts"),
    ]
    return sieve(events, bad, tally)
