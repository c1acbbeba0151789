"""`llmops feedback ingest [--follow]`: the journal into the database, and retention, again and
again. One for each journal is enough; any number may run."""

import signal
import threading
import time
from _thread import start_new_thread
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import sqlalchemy as sa

from llmops.feedback.ingest import Ingested, ingest
from llmops.feedback.retention import Expired, expire_all
from llmops.spec.settings import Settings
from llmops.store.paths import ProjectPaths
from llmops.store.signals import handling

EVERY_SECONDS = 1.0
EXPIRE_SECONDS = 3600.0


@dataclass
class Kept:
    """What one pass did."""

    ingested: Ingested
    expired: list[Expired] = field(default_factory=list)

    def record(self) -> dict[str, Any]:
        return asdict(self)

    def __bool__(self) -> bool:
        return self.ingested != Ingested() or bool(self.expired)


def keep(
    settings: Settings,
    paths: ProjectPaths,
    database: sa.Engine,
    tell: Callable[[Kept], None],
    *,
    follow: bool = False,
) -> None:
    """One pass, or one a second until SIGINT or SIGTERM, which end it between two passes.

    tell: called with a single pass, or with each that did anything. Raises Failed when the
    database cannot be written; nothing is lost then.
    """
    if not follow:
        tell(Kept(ingest(paths, database), expire_all(settings, database)))
        return
    stop = threading.Event()

    def end(*_: object) -> None:
        # In another thread: this one may hold the lock of the event that it waits for.
        start_new_thread(stop.set, ())

    with handling(end, signal.SIGINT, signal.SIGTERM):
        keep_on(settings, paths, database, tell, stop)


def keep_on(
    settings: Settings,
    paths: ProjectPaths,
    database: sa.Engine,
    tell: Callable[[Kept], None],
    stop: threading.Event,
) -> None:
    """A pass a second until `stop` is set. Raises as `keep`."""
    told: set[str] = set()
    expired_at = 0.0
    while not stop.is_set():
        done = Kept(ingest(paths, database))
        if time.monotonic() >= expired_at:
            done.expired = expire_all(settings, database)
            expired_at = time.monotonic() + EXPIRE_SECONDS
        # What a newer llmops wrote is met again in each pass.
        done.ingested.damaged = [d for d in done.ingested.damaged if str(d) not in told]
        told.update(map(str, done.ingested.damaged))
        if done:
            tell(done)
        stop.wait(EVERY_SECONDS)
