"""The builders by name, in the order in which a pair that several made is credited. A new one is
a module and a line here (and its options in llmops/spec/preferences.py)."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from llmops.preferences.edits import edits
from llmops.preferences.log import Log
from llmops.preferences.ratings import ratings
from llmops.preferences.report import Tally
from llmops.preferences.thumbs import thumbs
from llmops.preferences.votes import regenerations, votes

if TYPE_CHECKING:
    import polars as pl

Builder = Callable[["pl.DataFrame", Log, Any, Tally], "pl.DataFrame"]

BUILDERS: dict[str, Builder] = {
    "votes": votes,
    "edits": edits,
    "regenerations": regenerations,
    "ratings": ratings,
    "thumbs": thumbs,
}
"""Events of its kind, the log, its options and the tally of drops -> opinions (opinions.py). The
judge is none of them: it asks a model (judge.py)."""
ORDER = (*BUILDERS, "judge")
