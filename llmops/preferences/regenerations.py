"""Regenerated answers: the one that was kept over the one that was discarded for it."""

from typing import TYPE_CHECKING

from llmops.preferences.log import Log
from llmops.preferences.opinions import between
from llmops.preferences.report import Tally
from llmops.preferences.votes import same_prompt
from llmops.spec.preferences import Regenerations

if TYPE_CHECKING:
    import polars as pl


def regenerations(
    events: "pl.DataFrame", log: Log, options: Regenerations, tally: Tally
) -> "pl.DataFrame":
    """Opinions of the `regenerate` events: `inference` was kept."""
    import polars as pl

    return between(same_prompt(events, tally), pl.lit(True))
