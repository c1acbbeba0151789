"""What stands behind the rows of a snapshot of preferences: rows by the builder that made them, the
events that decided them by kind, and the answers that they compare by the version that gave them.

Rows and ids are in the snapshot; kinds and versions are in the log, which may be away.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmops.errors import LlmopsError
from llmops.lineage.graph import Graph
from llmops.lineage.log import Log, key
from llmops.lineage.project import Project
from llmops.preferences.snapshot import PAIRS, Snapshot

if TYPE_CHECKING:
    import polars as pl

_GONE = "gone"
"""Stands in an id for what the log does not hold."""


@dataclass(frozen=True)
class _Source:
    """column: of the rows, with ids; table: of the log; by: its column that makes groups."""

    kind: str
    column: str
    table: str
    by: str
    relation: str
    label: str


_SOURCES = (
    _Source("events", "events", "feedback", "kind", "decided", "{by} events: {count}"),
    _Source(
        "answers", "inferences", "inferences", "version", "compared", "answers of {by}: {count}"
    ),
)


def add_behind(graph: Graph, snapshot: Snapshot, project: Project, *, full: bool) -> None:
    """Add it to the graph. full: with the ids of events and answers."""
    import polars as pl

    try:
        columns = ["builder", "split", "inferences", "events"]
        rows = pl.read_parquet(snapshot.pairs, columns=columns)
    except (pl.exceptions.PolarsError, OSError):
        graph.notes.append(f"{snapshot.id}: {PAIRS} cannot be read: nobody can tell what is in it")
        return
    _add_rows(graph, snapshot, rows)
    try:
        log = project.log
    except LlmopsError as error:
        log = None
        told = f"kinds of events and who answered are not known: {error.line}"
        graph.notes += [told] if told not in graph.notes else []
    for source in _SOURCES:
        _add_groups(graph, snapshot, rows, source, log, full)


def _pairs(snapshot: Snapshot, builder: str) -> str:
    return f"pairs:{_name(snapshot)}/{builder}"


def _name(snapshot: Snapshot) -> str:
    return snapshot.id.removeprefix("preferences:")


def _add_rows(graph: Graph, snapshot: Snapshot, rows: "pl.DataFrame") -> None:
    import polars as pl

    trains = pl.col("split") == "train"
    counts = rows.group_by("builder").agg(train=trains.sum(), holdout=(~trains).sum())
    for builder, train, holdout in counts.sort("builder").iter_rows():
        count = train + holdout
        node = graph.node(_pairs(snapshot, builder), "pairs", f"rows by {builder}: {count:,}",
                          builder=builder, count=count, train=train, holdout=holdout)  # fmt: skip
        graph.edge(node, snapshot.id, "rows of")


def _add_groups(
    graph: Graph,
    snapshot: Snapshot,
    rows: "pl.DataFrame",
    source: _Source,
    log: Log | None,
    full: bool,
) -> None:
    import polars as pl

    named = rows.select("builder", id=source.column).explode("id").drop_nulls("id")
    named = named.with_columns(key=key("id"))
    named = (named if full else named.drop("id")).unique()
    if log is None:
        known = named.with_columns(by=pl.lit(None, pl.String), redacted=pl.lit(None, pl.Int64))
    else:
        ids = rows[source.column].explode().drop_nulls()
        found = log.rows(source.table, ids, source.by, "redacted")
        known = named.join(found.rename({source.by: "by"}), on="key", how="left")
    groups = known.group_by("by").agg(
        count=pl.col("key").n_unique(),
        erased=pl.col("key").filter(pl.col("redacted").is_not_null()).n_unique(),
        builders=pl.struct("builder", "key").unique().struct.field("builder").value_counts(),
        ids=pl.col("id").unique().sort() if full else pl.lit(None),
    )
    for by, count, erased, builders, ids in groups.sort("by", nulls_last=True).iter_rows():
        label = source.label.format(count=f"{count:,}", by=by)
        if by is None:
            label = f"{source.kind}{' not in the log' if log else ''}: {count:,}"
        node = graph.node(
            f"{source.kind}:{_name(snapshot)}/{by or _GONE}",
            source.kind,
            label,
            "missing" if by is None and log else "erased" if erased else "",
            **{
                source.by: by,
                "count": count,
                "erased": erased or None,
                "ids": ids if full else None,
            },
        )
        for one in sorted(builders, key=lambda one: str(one["builder"])):
            pairs = _pairs(snapshot, one["builder"])
            graph.edge(node, pairs, source.relation, count=one["count"])
