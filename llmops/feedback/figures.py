"""`llmops feedback stats`: how many answers and what feedback, by deployment, version and source.

Counted in the database, the erased ones included. It compares nothing and decides nothing:
experiments do (llmops/experiments), by the unit of assignment.
"""

from typing import Any

import sqlalchemy as sa

from llmops.store.database import reading
from llmops.store.tables import feedback, inferences

_GROUP = ("deployment", "variant", "version", "source")
_CHOICES = {"first": ("won", "lost"), "second": ("lost", "won")}


def stats(
    database: sa.Engine, *, deployment: str | None = None, since: int | None = None
) -> list[dict[str, Any]]:
    """An entry for each deployment, variant, version and source of its answers.

    answers, errors, erased, users: counts; feedback: by kind (`metric:NAME`, `engagement:NAME`),
    {"count", "mean"}, of choices {"count", "won", "lost", "tie", "both_bad"}. Feedback about
    answers that are not in the log has an entry with version None. since: milliseconds since 1970,
    of answers and events alike.
    """
    entries: dict[tuple[Any, ...], dict[str, Any]] = {}
    with reading(database) as connection:
        for row in connection.execute(_narrow(_answers(), inferences, deployment, since)):
            entries[tuple(row)[:4]] = _entry(tuple(row)[:4], row)
        for row in connection.execute(_narrow(_events("inference"), feedback, deployment, since)):
            _said(entries, row, first=True)
        compared = _events("other").where(feedback.c.kind == "choice")
        for row in connection.execute(_narrow(compared, feedback, deployment, since)):
            _said(entries, row, first=False)
    return sorted(entries.values(), key=lambda one: tuple(str(one[key] or "") for key in _GROUP))


def _answers() -> sa.Select[Any]:
    group = [inferences.c[name] for name in _GROUP]
    return sa.select(
        *group,
        sa.func.count().label("answers"),
        sa.func.count(inferences.c.error).label("errors"),
        sa.func.count(inferences.c.redacted).label("erased"),
        sa.func.count(sa.distinct(inferences.c.user)).label("users"),
    ).group_by(*group)


def _events(side: str) -> sa.Select[Any]:
    """Feedback by what it is about (`inference`, or the `other` of a comparison)."""
    about = feedback.outerjoin(inferences, feedback.c[side] == inferences.c.id)
    group = [
        feedback.c.deployment,
        inferences.c.variant,
        inferences.c.version,
        sa.case((inferences.c.id.is_(None), feedback.c.source), else_=inferences.c.source).label(
            "source"
        ),
        feedback.c.kind,
        feedback.c.name,
        feedback.c.choice,
    ]
    figures = (sa.func.count().label("count"), sa.func.sum(feedback.c.value).label("sum"))
    return sa.select(*group, *figures).select_from(about).group_by(*group)


def _narrow(
    query: sa.Select[Any], table: sa.Table, deployment: str | None, since: int | None
) -> sa.Select[Any]:
    if deployment is not None:
        query = query.where(table.c.deployment == deployment)
    return query if since is None else query.where(table.c.time >= since)


def _entry(key: tuple[Any, ...], row: Any = None) -> dict[str, Any]:
    names = ("answers", "errors", "erased", "users")
    counts = {name: getattr(row, name) if row is not None else 0 for name in names}
    return {**dict(zip(_GROUP, key, strict=True)), **counts, "feedback": {}}


def _said(entries: dict[tuple[Any, ...], dict[str, Any]], row: Any, *, first: bool) -> None:
    key = (row.deployment, row.variant, row.version, row.source)
    kinds = entries.setdefault(key, _entry(key))["feedback"]
    if row.kind == "choice":
        found = kinds.setdefault(
            "choice", dict.fromkeys(("count", "won", "lost", "tie", "both_bad"), 0)
        )
        outcome = _CHOICES.get(row.choice, (row.choice, row.choice))[0 if first else 1]
        found["count"] += row.count
        found[outcome] = found.get(outcome, 0) + row.count
        return
    name = f"{row.kind}:{row.name}" if row.name else row.kind
    found = kinds.setdefault(name, {"count": 0, "mean": None})
    if row.sum is not None:
        total = (found["mean"] or 0.0) * found["count"] + row.sum
        found["mean"] = total / (found["count"] + row.count)
    found["count"] += row.count
