"""From the log to one outcome for each unit of an experiment.

A unit is what was assigned: a user, a session, a conversation. Its outcome is the first one that it
gave (thumbs, rating, metric:NAME), or whether it had an answer regenerated soon after its first
(regenerate: known of every unit, once REGENERATE_WINDOW has passed). blocks.py says why once.

Exposures count from the moment on which the two versions face each other without a break. Requests
that named their variant themselves and answers given side by side are no exposures.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from llmops.experiments.betting import Floats
from llmops.experiments.declared import Pair

if TYPE_CHECKING:
    import polars as pl

REGENERATE_WINDOW = 10 * 60 * 1000
"""Milliseconds after a unit's first answer in which it may ask again."""
INFERENCE_COLUMNS = ("id", "time", "variant", "version", "generation", "unit", "group_id", "source")
EVENT_COLUMNS = ("id", "time", "received", "inference", "other", "kind", "name", "value", "source")


@dataclass(frozen=True)
class Units:
    """The units that have an outcome, in the order in which it was known.

    candidate: whether the unit's variant was the candidate; values: its outcome.
    """

    candidate: NDArray[np.bool_]
    values: Floats


def exposures(inferences: "pl.DataFrame", pair: Pair, *, simulated: bool) -> "pl.DataFrame":
    """The exposures of an experiment, in the order of their time, with `candidate` (bool).

    inferences: of the deployment, with INFERENCE_COLUMNS. simulated: with simulated users' too.
    """
    import polars as pl

    versions = {pair.control: pair.control_version, pair.candidate: pair.candidate_version}
    theirs = inferences.filter(pl.col("variant").is_in(list(versions)))
    now = pl.col("version") == pl.col("variant").replace_strict(versions, return_dtype=pl.String)
    since = theirs.filter(~now)["time"].max()
    chosen = theirs.filter(
        now, pl.col("unit") != "", pl.col("group_id").is_null(), _from(simulated)
    )
    if since is not None:
        chosen = chosen.filter(pl.col("time") > since)
    return chosen.sort("time", "id").with_columns(candidate=pl.col("variant") == pair.candidate)


def entries(shown: "pl.DataFrame") -> "pl.DataFrame":
    """The first exposure of each unit, in order."""
    return shown.unique("unit", keep="first", maintain_order=True)


def entered(shown: "pl.DataFrame") -> Mapping[int, tuple[int, int]]:
    """How many units first came in which generation: control and candidate."""
    import polars as pl

    counts = (
        entries(shown)
        .group_by("generation")
        .agg(control=(~pl.col("candidate")).sum(), candidate=pl.col("candidate").sum())
    )
    return {row[0]: (row[1], row[2]) for row in counts.iter_rows()}


def units(
    shown: "pl.DataFrame", events: "pl.DataFrame", outcome: str, *, simulated: bool, now: int
) -> Units:
    """The outcome of each unit. shown: of `exposures`; events: the deployment's feedback; outcome:
    as in the declaration; now: milliseconds since 1970."""
    import polars as pl

    kind, _, name = outcome.partition(":")
    meant = events.filter(pl.col("kind") == kind, _from(simulated))
    if kind == "regenerate":
        found = _regenerated(shown, meant, now)
    else:
        meant = meant.filter(pl.col("value").is_not_null())
        if kind == "metric":
            meant = meant.filter(pl.col("name") == name)
        known = shown.select("id", "unit", "candidate")
        found = (
            meant.join(known, left_on="inference", right_on="id")
            .sort("received", "time", "id")  # a client's own time could put it before known ones
            .unique("unit", keep="first", maintain_order=True)
        )
    values = found["value"].to_numpy().astype(np.float64)
    return Units(found["candidate"].to_numpy().astype(np.bool_), values)


def _regenerated(shown: "pl.DataFrame", events: "pl.DataFrame", now: int) -> "pl.DataFrame":
    """1 for a unit that had an answer regenerated within the window, 0 for another, in the order
    in which they came; units whose window is still open are left out."""
    import polars as pl

    first = entries(shown).select("unit", "candidate", entry="time")
    first = first.filter(pl.col("entry") + REGENERATE_WINDOW <= now)
    discarded = events.select("time", id="other").join(
        shown.select("id", "unit", "candidate"), on="id"
    )
    soon = (
        discarded.join(first, on=["unit", "candidate"])
        .filter(pl.col("time") <= pl.col("entry") + REGENERATE_WINDOW)
        .select("unit")
        .unique()
    )
    return first.with_columns(value=pl.col("unit").is_in(soon["unit"].implode()).cast(pl.Float64))


def _from(simulated: bool) -> "pl.Expr":
    """Whose records count: real users', and simulated ones' where the experiment says so."""
    import polars as pl

    source = pl.col("source")
    real = source.is_null()
    return real | source.str.starts_with("simulated") if simulated else real
