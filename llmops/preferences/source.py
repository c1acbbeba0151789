"""Where the rows of a log come from: the project's database, with what the journal holds by now.

A plan reads the log too: it first moves what the journal holds into the database, as the ingester
does (idempotent; nothing of it is lost or read twice), so there is one reading of the log, not two.
"""

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from llmops.errors import BadInput
from llmops.preferences.log import EVENT_COLUMNS, INFERENCE_COLUMNS, Log
from llmops.spec.preferences import PreferencesRecipe
from llmops.spec.settings import Settings
from llmops.spec.suggest import did_you_mean
from llmops.store.paths import ProjectPaths

if TYPE_CHECKING:
    import sqlalchemy as sa


def read_log(
    settings: Settings, recipe: PreferencesRecipe, *, where: str = "", pending: bool = False
) -> Log:
    """All that the log holds of the recipe's deployment. where: a place for errors; pending: what
    fills the log has yet to run, so one that holds nothing of it is no mistake.

    Raises BadInput when it holds nothing, Failed when the database cannot be read.
    """
    from llmops.feedback import frames
    from llmops.feedback.ingest import fresh

    if not has_log(settings):
        raise _empty(recipe.deployment, where, [])
    database = fresh(settings, ProjectPaths(settings.root))
    try:
        events = frames.read(database, _events(recipe))
        inferences = frames.read(database, _inferences(recipe))
        if not (inferences.height or pending):
            known = _deployments(database)
            if recipe.deployment not in known:
                raise _empty(recipe.deployment, where, known)
        return Log(inferences, events, int(time.time() * 1000))
    finally:
        database.dispose()


def _inferences(recipe: PreferencesRecipe) -> "sa.Select[Any]":
    """The answers that feedback names; all of them, where a judge looks for some without any."""
    import sqlalchemy as sa

    from llmops.store.tables import feedback, inferences

    table = inferences.c
    nobody = sa.func.nullif(table.unit, "")
    made = {
        "asker": sa.func.coalesce(table.user, table.session, nobody, table.id),
        "whole": sa.func.coalesce(table.finish == "stop", sa.false()),
        "broken": table.error.is_not(None),
        "completion": table.endpoint != "chat",
        **_flags(table),
    }
    query = sa.select(*_columns(INFERENCE_COLUMNS, table, made))
    query = query.where(table.deployment == recipe.deployment)
    if recipe.builders.judge is not None:
        return query
    about = sa.select(1).where(feedback.c.inference == inferences.c.id).exists()
    second = sa.select(feedback.c.other).where(
        feedback.c.other.is_not(None), feedback.c.deployment == recipe.deployment
    )
    return query.where(about | inferences.c.id.in_(second))


def _events(recipe: PreferencesRecipe) -> "sa.Select[Any]":
    import sqlalchemy as sa

    from llmops.store.tables import feedback

    query = sa.select(*_columns(EVENT_COLUMNS, feedback.c, _flags(feedback.c)))
    return query.where(feedback.c.deployment == recipe.deployment)


def _flags(table: Any) -> dict[str, Any]:
    import sqlalchemy as sa

    pretended = sa.func.substr(table.source, 1, len("simulated")) == "simulated"
    return {
        "erased": table.redacted.is_not(None),
        "simulated": sa.func.coalesce(pretended, sa.false()),
    }


def _columns(names: Sequence[str], table: Any, made: Mapping[str, Any]) -> list[Any]:
    return [made[name].label(name) if name in made else table[name] for name in names]


def has_log(settings: Settings) -> bool:
    """Whether there is anything to read, without making a database for it. One elsewhere may hold
    anything."""
    paths = ProjectPaths(settings.root)
    if settings.database is not None or paths.database.exists():
        return True
    return paths.journal.is_dir() and any(paths.journal.iterdir())


def _deployments(database: "sa.Engine") -> list[str]:
    import sqlalchemy as sa

    from llmops.store.database import reading
    from llmops.store.tables import inferences

    with reading(database) as connection:
        query = sa.select(inferences.c.deployment).distinct()
        return sorted(connection.execute(query).scalars())


def _empty(deployment: str, where: str, known: list[str]) -> BadInput:
    if known:
        return BadInput(
            f"the log holds nothing of deployment `{deployment}`",
            where=where,
            fix=did_you_mean(deployment, known),
        )
    return BadInput(
        f"the feedback log is empty: nobody has asked deployment `{deployment}` anything",
        where=where,
        fix=f"serve it, and point clients at it: llmops serve serving/{deployment}.yaml",
    )
