"""The queue: runs that are asked for, started as processes of their own, and written back."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from llmops.errors import BadInput
from llmops.registry.store import Registry
from llmops.runner.record import read_run
from llmops.scheduling import jobs
from llmops.scheduling.dispatch import Dispatcher
from llmops.scheduling.jobs import Job
from llmops.scheduling.runs import Request, Runs
from llmops.spec.settings import load_settings
from llmops.store.database import open_database, reading
from tests.fast.town_project import make_town
from tests.waiting import until

MOVE = 'name: p\nstages:\n  offer: {promote: "town:v3", to: candidate}\n'


class Queue:
    """A project with the pipeline `p.yaml`, and a dispatcher that the tests turn."""

    def __init__(self, root: Path, pipeline: str = MOVE) -> None:
        self.root = root
        self.registry: Registry = make_town(root)
        (root / "p.yaml").write_text(pipeline, encoding="utf-8")
        self.settings = load_settings()
        self.database: sa.Engine = open_database(self.settings)
        self.runs = Runs(self.settings, self.database)
        self.dispatcher = Dispatcher(self.settings, devices=1)

    def ask(self, **changes: object) -> Job:
        return self.runs.submit(Request(**{"target": "p.yaml", "by": "cli:test", **changes}))  # type: ignore[arg-type]

    def job(self, run: str) -> Job:
        with reading(self.database) as connection:
            found = jobs.find(connection, run)
        assert found is not None
        return found

    def tick(self) -> None:
        self.dispatcher.tick(self.database, time.time())

    def until(self, run: str, *states: str) -> Job:
        """Turn until the job is in one of these states."""

        def there() -> Job | None:
            self.tick()
            job = self.job(run)
            return job if job.state in states else None

        found = until(there)
        assert found is not None
        return found

    def close(self) -> None:
        self.dispatcher.close()
        self.database.dispose()


@pytest.fixture
def queue(project: Path) -> Iterator[Queue]:
    found = Queue(project)
    yield found
    found.close()


def test_a_run_that_is_asked_for_is_carried_out(queue: Queue) -> None:
    job = queue.ask(correlation="request-1")
    assert queue.job(job.id).state == "queued"
    ended = queue.until(job.id, *jobs.ENDED)
    assert (ended.state, ended.error, ended.tries) == ("done", None, 1)
    assert queue.registry.aliases("town")["candidate"] == 3
    record = read_run(queue.runs.paths.run(job.id))
    assert record is not None
    assert (record.by, record.correlation) == ("cli:test", "request-1")


def test_a_declaration_that_cannot_be_read_is_not_queued(queue: Queue) -> None:
    with pytest.raises(BadInput):
        queue.ask(target="none.yaml")
    assert not queue.runs.paths.runs.exists()


def test_stop(queue: Queue) -> None:
    job = queue.ask()
    assert queue.runs.stop(job.id, "cli:test") == "cancelled"
    queue.tick()
    assert queue.job(job.id).state == "cancelled"
