"""Retention: texts older than a deployment's `feedback.retention` are erased.

`llmops feedback ingest` does so after each pass, for the deployments that are declared in serving/
of the project; others keep theirs until somebody says how long. Snapshots of preferences keep
what they hold: they are training data, and are removed or erased for themselves.
"""

import time
from dataclasses import dataclass

import sqlalchemy as sa

from llmops.feedback.redaction import expire
from llmops.spec.settings import Settings


@dataclass(frozen=True)
class Expired:
    """How many answers and events of a deployment lost their texts."""

    deployment: str
    retention: str
    inferences: int
    events: int


def retentions(settings: Settings) -> dict[str, str]:
    """How long each declared deployment keeps texts (`90d`), by name. A file that does not load is
    left out: serving it says what is wrong. Of several files of one name the longest counts: what
    is erased cannot be had back."""
    from llmops.spec.deployments import declared
    from llmops.spec.grammar import seconds

    found: dict[str, str] = {}
    for one in declared(settings.root).loaded:
        said = [one.spec.feedback.retention, *found.get(one.spec.name, "").split()]
        found[one.spec.name] = max(said, key=seconds)
    return found


def expire_all(
    settings: Settings, database: sa.Engine, *, now: float | None = None
) -> list[Expired]:
    """Erase what is older than its deployment keeps it; those that had any. now: seconds since
    1970. Raises Failed when the database cannot be written."""
    from llmops.spec.grammar import seconds

    moment = time.time() if now is None else now
    done = []
    for name, retention in retentions(settings).items():
        before = int((moment - seconds(retention)) * 1000)
        answers, events = expire(database, name, before, int(moment * 1000))
        if answers or events:
            done.append(Expired(name, retention, answers, events))
    return done
