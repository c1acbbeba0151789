"""Notifications: what happened reaches a receiver once, signed, however often it is down."""

import hmac
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from llmops.registry.manifest import Draft
from llmops.registry.promotion import rollback
from llmops.registry.store import Registry
from llmops.runner.alarm import Alarm
from llmops.runner.record import StageRecord
from llmops.runner.run_log import RunLog
from llmops.scheduling.jobs import enqueue
from llmops.scheduling.notify import Notifier
from llmops.spec.notify import Notify
from llmops.spec.settings import Settings, load_settings
from llmops.store.database import reading, writing
from llmops.store.paths import ProjectPaths
from llmops.store.tables import deliveries
from tests.fast.models_on_disk import write_full


class Moved:
    """A clock that stands until it is moved; at first, shortly before the machine's."""

    def __init__(self) -> None:
        self.at = time.time() - 60

    def now(self) -> float:
        return self.at

    def wait(self, event: threading.Event, seconds: float) -> bool:
        self.at += seconds
        return event.is_set()


class Hook:
    """A receiver on loopback. answers: the status of each call in turn, then 200."""

    def __init__(self) -> None:
        self.answers: list[int] = []
        self.calls: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.bodies: list[bytes] = []
        self.url = ""

    @contextmanager
    def listening(self) -> Iterator["Hook"]:
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                hook.bodies.append(body)
                hook.calls.append(json.loads(body))
                hook.headers.append(dict(self.headers))
                self.send_response(hook.answers.pop(0) if hook.answers else 200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        self.url = f"http://127.0.0.1:{server.server_port}/hook"
        try:
            yield self
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


@pytest.fixture
def hook() -> Iterator[Hook]:
    with Hook().listening() as listening:
        yield listening


class Told:
    """A notifier of a project, whose turns are taken one by one."""

    def __init__(self, settings: Settings, database: sa.Engine, *receivers: Notify) -> None:
        self.clock = Moved()
        self.database = database
        self.settings = settings.model_copy(update={"notify": list(receivers)})
        self.notifier = Notifier(self.settings, self.clock)

    def turn(self, seconds: float = 10.0) -> None:
        self.clock.at += seconds
        self.notifier.tick(self.database)
        self.notifier.wait()


@pytest.fixture
def told(
    settings: Settings, database: sa.Engine, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> Told:
    """Begun, so that what happens from now on is told."""
    told = Told(settings, database, Notify(url=hook.url, secret_env="HOOK_SECRET"))
    monkeypatch.setenv("HOOK_SECRET", "s3cret")
    told.turn()
    return told


def failed_run(settings: Settings, name: str = "town", state: Any = "failed") -> str:
    log = RunLog.begin(
        ProjectPaths(settings.root),
        name,
        "recipes/sft.yaml",
        [],
        [StageRecord(name="sft", kind="train")],
    )
    log.stage("sft", state, error="the disk is full")
    log.end(state)
    return log.record.id


def registered(settings: Settings) -> Registry:
    registry = Registry(ProjectPaths(settings.root))
    for fill in (1, 2):
        source = write_full(settings.root / f"made-{fill}", fill)
        registry.add(Draft(name="town", kind="full", stage="sft"), source)
    return registry


def test_a_failed_run_is_told_once(told: Told, hook: Hook) -> None:
    run = failed_run(told.settings)
    told.turn()
    told.turn()
    assert [(c["event"], c["run"]) for c in hook.calls] == [("failed", run)]
    assert "the disk is full" in hook.calls[0]["text"]


def test_what_happened_before_the_receiver_was_named_is_not_told(
    settings: Settings, database: sa.Engine, hook: Hook
) -> None:
    failed_run(settings)
    told = Told(settings, database, Notify(url=hook.url))
    told.clock.at += 3600
    told.turn()
    assert hook.calls == []


def test_a_call_is_signed_with_its_time(told: Told, hook: Hook) -> None:
    failed_run(told.settings)
    told.turn()
    headers = hook.headers[0]
    signed = headers["X-LLMOps-Timestamp"].encode() + b"." + hook.bodies[0]
    expected = hmac.new(b"s3cret", signed, sha256).hexdigest()
    assert headers["X-LLMOps-Signature"] == f"sha256={expected}"


def test_without_its_secret_nothing_is_sent_and_later_it_is(
    told: Told, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HOOK_SECRET")
    failed_run(told.settings)
    told.turn()
    assert hook.calls == []
    monkeypatch.setenv("HOOK_SECRET", "again")
    told.turn()
    assert len(hook.calls) == 1


def test_a_receiver_that_is_down_is_asked_again_later_each_time(told: Told, hook: Hook) -> None:
    hook.answers = [500, 503]
    failed_run(told.settings)
    told.turn()
    told.turn(4)
    assert len(hook.calls) == 1
    told.turn(5)
    assert len(hook.calls) == 2
    told.turn(11)
    assert len(hook.calls) == 3
    assert len({headers["X-LLMOps-Delivery"] for headers in hook.headers}) == 1


def test_a_receiver_that_is_gone_for_good_is_not_asked_again(told: Told, hook: Hook) -> None:
    hook.answers = [410]
    failed_run(told.settings)
    told.turn()
    told.turn(100_000)
    assert len(hook.calls) == 1


def test_two_schedulers_tell_it_once(told: Told, hook: Hook) -> None:
    other = Notifier(told.settings, told.clock)
    failed_run(told.settings)
    told.turn()
    other.tick(told.database)
    other.wait()
    assert len(hook.calls) == 1


def test_what_one_that_ends_leaves_is_sent_by_the_next(told: Told, hook: Hook) -> None:
    failed_run(told.settings)
    told.notifier.close()
    told.turn()
    assert hook.calls == []
    told.notifier = Notifier(told.settings, told.clock)
    told.turn()
    assert len(hook.calls) == 1


def test_promotions_and_rollbacks_are_told_wherever_they_were_made(told: Told, hook: Hook) -> None:
    registry = registered(told.settings)
    registry.move("town", "production", 1, why="by hand", by="cli:ann")
    registry.move("town", "production", 2, why="by hand", by="cli:ann")
    rollback("town", "production", registry, why="worse", by="cli:ann")
    told.turn()
    shown = [(c["event"], c["version"]) for c in hook.calls]
    assert sorted(shown) == [
        ("promoted", "town:v1"),
        ("promoted", "town:v2"),
        ("rolled_back", "town:v1"),
    ]


def test_an_alarm_is_told_once_while_the_run_goes_on(told: Told, hook: Hook) -> None:
    paths = ProjectPaths(told.settings.root)
    log = RunLog.begin(paths, "p", "p.yaml", [], [StageRecord(name="sft", kind="train")])
    log.stage("sft", "running", attempt=1)
    told.turn()
    log.alarm("sft", Alarm("collapse", 40, "the reward margin fell"), "warn")
    told.turn()
    log.end("done")
    told.turn()
    (call,) = hook.calls
    wanted = ("event", "run", "stage", "kind", "step", "reaction")
    assert [call[key] for key in wanted] == [
        "alarm", log.record.id, "sft", "collapse", 40, "warn",
    ]  # fmt: skip
    assert "collapse: the reward margin fell (step 40)" in call["text"]


def test_a_receiver_is_told_only_what_it_asks_for(
    settings: Settings, database: sa.Engine, hook: Hook
) -> None:
    told = Told(settings, database, Notify(url=hook.url, on=["refused"]))
    told.turn()
    failed_run(settings)
    failed_run(settings, "other", "refused")
    told.turn()
    assert [c["event"] for c in hook.calls] == ["refused"]


def test_a_start_that_waits_for_a_person_is_told(told: Told, hook: Hook) -> None:
    with writing(told.database) as connection:
        run = enqueue(
            connection,
            paths=ProjectPaths(told.settings.root),
            target="pipelines/town.yaml",
            by="schedule:town/cron",
            now=told.clock.at,
            approval=True,
        )
    told.turn()
    assert [(c["event"], c["run"]) for c in hook.calls] == [("approval", run)]


def test_the_url_of_a_receiver_is_not_in_the_database(told: Told, hook: Hook) -> None:
    failed_run(told.settings)
    told.turn()
    with reading(told.database) as connection:
        rows = connection.execute(sa.select(deliveries)).mappings().all()
    assert all("/hook" not in str(dict(row)) for row in rows)


def test_the_url_may_come_from_the_environment(
    settings: Settings, database: sa.Engine, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK_URL", hook.url)
    told = Told(settings, database, Notify(url_env="HOOK_URL"))
    told.turn()
    failed_run(settings)
    told.turn()
    assert len(hook.calls) == 1


def test_settings_name_receivers(project: Path) -> None:
    text = '[[notify]]\nurl = "https://example.org/hook"\non = ["failed"]\n'
    (project / "llmops.toml").write_text(text, encoding="utf-8")
    assert load_settings().notify == [Notify(url="https://example.org/hook", on=["failed"])]
