"""A project with a pipeline that has triggers, its clock and its database."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from llmops.feedback.growth import growth
from llmops.feedback.ingest import ingest
from llmops.scheduling.schedules import Schedules
from llmops.scheduling.sync import seen_of
from llmops.scheduling.triggers import Triggers
from llmops.spec.settings import Settings
from llmops.store.database import reading, writing
from llmops.store.paths import ProjectPaths
from llmops.store.tables import firings, jobs, triggers
from tests.fast.moved_clock import MovedClock
from tests.waiting import until

RECIPE = """\
kind: preferences
deployment: town
builders: {votes: {}}
output: {preferences: town}
"""


@dataclass
class Scheduled:
    """tick: as a scheduler does, at the clock's time."""

    settings: Settings
    database: sa.Engine
    clock: MovedClock = field(default_factory=MovedClock)
    _open: list[Triggers] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.start = self.clock.now()
        self.triggers = self.scheduler()
        self.schedules = Schedules(self.settings, self.database, self.clock)

    def scheduler(self) -> Triggers:
        """Another one on the same database."""
        self._open.append(Triggers(self.settings, self.clock))
        return self._open[-1]

    def close(self) -> None:
        for one in self._open:
            one.close()

    @property
    def file(self) -> Path:
        return self.settings.root / "pipelines" / "town.yaml"

    def declare(self, *triggers: str, limits: str = "{}") -> None:
        """A pipeline with these triggers, each as YAML."""
        lines = ["name: town", "stages:", "  pairs: {recipe: recipes/pairs.yaml}", "triggers:"]
        lines += [f"  - {trigger}" for trigger in triggers] + [f"limits: {limits}", ""]
        recipe = self.settings.root / "recipes" / "pairs.yaml"
        for folder in (self.file.parent, recipe.parent):
            folder.mkdir(exist_ok=True)
        recipe.write_text(RECIPE, encoding="utf-8")
        self.file.write_text("\n".join(lines), encoding="utf-8")

    def tick(self) -> list[str]:
        return self.triggers.tick(self.database)

    def after(self, seconds: float) -> list[str]:
        self.clock.move(seconds)
        return self.tick()

    def history(self) -> list[tuple[str, str, str]]:
        """(due, outcome, reason) of all, oldest first."""
        query = sa.select(firings).order_by(firings.c.due)
        with reading(self.database) as connection:
            rows = connection.execute(query).all()
        return [(shown(row.due), row.outcome, row.reason) for row in rows]

    def jobs(self) -> list[Any]:
        with reading(self.database) as connection:
            return list(connection.execute(sa.select(jobs).order_by(jobs.c.created)).all())

    def end_jobs(self, state: str = "done", **values: Any) -> None:
        """All that were asked for have run."""
        ended = int(self.clock.now() * 1000)
        with writing(self.database) as connection:
            change = {"state": state, "tries": 1, "started": ended, "ended": ended, **values}
            connection.execute(sa.update(jobs).where(jobs.c.ended.is_(None)).values(change))

    def settle(self, seconds: float = 0) -> list[str]:
        """Move the clock on, then tick until no pairs are being counted; the jobs it made."""
        started = self.after(seconds)

        def settled() -> bool:
            started.extend(self.tick())
            return not self.triggers.is_busy

        until(settled, 60)
        return started

    def counted(self, have: int, snapshot: str | None = None) -> None:
        """What a scheduler found out a moment ago of the feedback trigger."""
        self.schedules.list()
        with writing(self.database) as connection:
            here = triggers.c.id == "town/feedback"
            row = connection.execute(sa.select(triggers).where(here)).mappings().one()
            state = [growth(connection, "town"), None, None]
            seen = {**seen_of(row), "have": have, "snapshot": snapshot, "state": state}
            change = sa.update(triggers).where(here).values(seen=json.dumps(seen))
            connection.execute(change)

    def ingest(self) -> None:
        ingest(ProjectPaths(self.settings.root), self.database)

    @contextmanager
    def counted_writes(self) -> Iterator[list[str]]:
        """What is written to the database meanwhile, as SQL."""
        found: list[str] = []

        def executed(_c: Any, _k: Any, text: str, *_: Any) -> None:
            if text.split()[0].upper() in ("INSERT", "UPDATE", "DELETE"):
                found.append(text)

        sa.event.listen(self.database, "before_cursor_execute", executed)
        yield found
        sa.event.remove(self.database, "before_cursor_execute", executed)

    @contextmanager
    def cut_short(self) -> Iterator[None]:
        """The next transaction that made a job is never committed."""

        def commit(_connection: Any) -> None:
            raise RuntimeError("killed here")

        def executed(connection: Any, _k: Any, text: str, *_: Any) -> None:
            if text.startswith("INSERT INTO jobs"):
                sa.event.listen(connection, "commit", commit)

        sa.event.listen(self.database, "before_cursor_execute", executed)
        yield
        sa.event.remove(self.database, "before_cursor_execute", executed)


def shown(due: int) -> str:
    from llmops.scheduling.due import shown as iso

    return iso(due).removesuffix("+00:00")
