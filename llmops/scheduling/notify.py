"""Telling people what happened, by webhooks: `[[notify]]` in llmops.toml.

Each event is sent to each receiver that asks for it, once: a row in `deliveries` stands for it,
whichever scheduler found it, and is tried again after a growing pause until the receiver answers
with a 2xx. What happened before a receiver was named is not told. Sending lies in a thread of its
own, so a slow receiver holds up no schedule.
"""

import hashlib
import json
import os
import threading
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import sqlalchemy as sa

from llmops.errors import LlmopsError
from llmops.scheduling.clock import Clock, millis
from llmops.scheduling.happenings import Happening, Happenings
from llmops.scheduling.hooks import signature
from llmops.scheduling.jobs import ENDED, find
from llmops.spec.notify import Event, Notify
from llmops.spec.settings import Settings
from llmops.store.database import reading, writing
from llmops.store.paths import ProjectPaths
from llmops.store.tables import deliveries, jobs, marks

LOOK_SECONDS = 3.0
ANSWER_SECONDS = 10.0
FIRST_SECONDS = 5.0
LONGEST_SECONDS = 3600.0
TRIES = 15
"""The last one comes five and a half hours after the first."""
LEASE_SECONDS = 60.0
KEPT_MILLIS = 30 * 86_400_000
"""Older events are not told; rows of what was told are kept longer (forgetting.py)."""
AT_ONCE = 20


@dataclass(frozen=True)
class Receiver:
    """Who is told. key: names it in the database, without the path of its URL, which may be a
    secret."""

    spec: Notify
    url: str
    key: str

    @classmethod
    def of(cls, spec: Notify) -> "Receiver | None":
        """None while its variable is not set."""
        url = spec.url or os.environ.get(str(spec.url_env), "")
        if not url:
            return None
        parts = urlsplit(url)
        digest = hashlib.sha256(url.encode()).hexdigest()[:12]
        return cls(spec, url, f"{parts.scheme}://{parts.hostname}#{digest}")


class Notifier:
    """One scheduler's share of it."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._paths = ProjectPaths(settings.root)
        self._clock = clock
        found = (Receiver.of(spec) for spec in settings.notify)
        self._receivers = {one.key: one for one in found if one is not None}
        self._happenings = Happenings(self._paths)
        self._pending: dict[str, Happening] = {}
        self._told: set[str] = set()
        self._look_at = float("-inf")
        self._sender: threading.Thread | None = None
        self._over = threading.Event()

    def tick(self, database: sa.Engine) -> None:
        """Write down what is to be sent, and have sent what is due. Raises Failed when the
        database is away."""
        now = self._clock.now()
        if not self._receivers or 0 <= now - self._look_at < LOOK_SECONDS:
            return
        self._look_at = now
        self._note(database, millis(now))
        if self._sender is None or not self._sender.is_alive():
            self._sender = threading.Thread(
                target=self._send_quietly, args=(database,), name="notifications", daemon=True
            )
            self._sender.start()

    def close(self) -> None:
        """Let the one that is being sent arrive; the next scheduler sends the others."""
        self._over.set()
        self.wait()

    def wait(self) -> None:
        """For what is being sent."""
        if self._sender is not None:
            self._sender.join()

    def _note(self, database: sa.Engine, now: int) -> None:
        self._pending.update((one.id, one) for one in self._happenings.news())
        with reading(database) as connection:
            for one in _of_jobs(connection, self._paths, now - KEPT_MILLIS):
                self._pending.setdefault(one.id, one)
            ready = [
                one
                for one in self._pending.values()
                if one.id not in self._told and not _goes_on(connection, one)
            ]
            since = _since(connection, self._receivers)
        if ready or len(since) < len(self._receivers):
            with writing(database) as connection:
                since = _begin(connection, self._receivers, now)
                for one in ready:
                    _insert(connection, one, self._receivers.values(), since, now)
        self._told.update(one.id for one in ready)
        self._pending.clear()

    def _send_quietly(self, database: sa.Engine) -> None:
        """The scheduler tells that the database is away; the next turn tries again."""
        try:
            self.send(database)
        except LlmopsError:
            return

    def send(self, database: sa.Engine) -> int:
        """Send what is due; how many were delivered."""
        now = millis(self._clock.now())
        due = sa.and_(deliveries.c.next_at <= now, deliveries.c.url.in_(self._receivers))
        query = sa.select(deliveries).where(due).order_by(deliveries.c.next_at).limit(AT_ONCE)
        with reading(database) as connection:
            rows = connection.execute(query).mappings().all()
        return sum(not self._over.is_set() and self._deliver(database, row, now) for row in rows)

    def _deliver(self, database: sa.Engine, row: "sa.RowMapping", now: int) -> bool:
        mine = sa.and_(deliveries.c.id == row["id"], deliveries.c.next_at == row["next_at"])
        lease = now + millis(LEASE_SECONDS)
        tries = row["tries"] + 1
        with writing(database) as connection:
            claim = sa.update(deliveries).where(mine).values(next_at=lease, tries=tries)
            if connection.execute(claim).rowcount != 1:
                return False
        error, final = _post(self._receivers[row["url"]], row, self._clock.now())
        now = millis(self._clock.now())
        values: dict[str, Any] = {"error": error, "next_at": None}
        if error is None:
            values["delivered"] = now
        elif not final and tries < TRIES:
            pause = min(FIRST_SECONDS * 2 ** (tries - 1), LONGEST_SECONDS)
            values["next_at"] = now + millis(pause)
        with writing(database) as connection:
            held = sa.and_(deliveries.c.id == row["id"], deliveries.c.next_at == lease)
            connection.execute(sa.update(deliveries).where(held).values(**values))
        return error is None


def _post(receiver: Receiver, row: "sa.RowMapping", now: float) -> tuple[str | None, bool]:
    """Send it; what is wrong, and whether trying again is of no use."""
    import httpx

    body = row["body"].encode()
    headers = {"Content-Type": "application/json", "User-Agent": "llmops"}
    headers |= {"X-LLMOps-Event": row["event"], "X-LLMOps-Delivery": row["id"]}
    if receiver.spec.secret_env is not None:
        secret = os.environ.get(receiver.spec.secret_env, "")
        if not secret:
            return f"{receiver.spec.secret_env} is not set where the scheduler runs", False
        time = str(int(now))
        headers |= {"X-LLMOps-Timestamp": time}
        headers |= {"X-LLMOps-Signature": signature(secret, time, body)}
    try:
        answer = httpx.post(receiver.url, content=body, headers=headers, timeout=ANSWER_SECONDS)
    except httpx.HTTPError as error:
        return type(error).__name__, False
    return (None if answer.is_success else f"answered {answer.status_code}"), (
        answer.status_code == 410
    )


def _of_jobs(connection: sa.Connection, paths: ProjectPaths, since: int) -> list[Happening]:
    """What only the queue knows: starts that wait for a person, and runs that ended before they
    had a record."""
    wanted = jobs.c.state.in_(("approval", "failed", "died", "refused"))
    query = sa.select(jobs).where(wanted, jobs.c.created >= since)
    rows = connection.execute(query).mappings().all()
    starts = [_start(row) for row in rows if row["state"] == "approval"]
    ended = [row for row in rows if row["state"] != "approval"]
    return starts + [_unbegun(row) for row in ended if not paths.run(row["id"]).record.exists()]


def _start(row: "sa.RowMapping") -> Happening:
    text = f"{row['target']}: a person must agree to its start (llmops approve {row['id']})"
    about = {"run": row["id"], "target": row["target"], "by": row["by"]}
    return Happening(f"start {row['id']}", "approval", row["created"], text, about)


def _unbegun(row: "sa.RowMapping") -> Happening:
    state, at = row["state"], row["ended"] or row["created"]
    why = f": {row['error']}" if row["error"] else ""
    text = f"run {row['id']} ({row['target']}) {state}{why}"
    about = {"run": row["id"], "target": row["target"], "by": row["by"], "state": state}
    event: Event = "refused" if state == "refused" else "failed"
    return Happening(f"job {row['id']} {state} {at}", event, at, text, about)


def _goes_on(connection: sa.Connection, one: Happening) -> bool:
    """Whether it is a run that was cut off, and goes on by itself."""
    if one.about.get("state") != "died":
        return False
    job = find(connection, str(one.about["run"]))
    return job is not None and job.state not in ENDED


def _mark(key: str) -> str:
    return f"notify {key}"


def _since(connection: sa.Connection, keys: Any) -> dict[str, int]:
    """From when on each receiver is told, by its key."""
    names = {_mark(key): key for key in keys}
    query = sa.select(marks.c.name, marks.c.time).where(marks.c.name.in_(names))
    return {names[name]: int(time) for name, time in connection.execute(query)}


def _begin(connection: sa.Connection, keys: Any, now: int) -> dict[str, int]:
    found = _since(connection, keys)
    for key in keys:
        if key not in found:
            connection.execute(marks.insert().values(name=_mark(key), time=now, value="{}"))
            found[key] = now
    return found


def _insert(
    connection: sa.Connection, one: Happening, receivers: Any, since: dict[str, int], now: int
) -> None:
    for receiver in receivers:
        if one.event not in receiver.spec.on or one.time < since[receiver.key] - 1000:
            continue
        key = hashlib.sha256(f"{one.id}\n{receiver.key}".encode()).hexdigest()
        known = connection.execute(sa.select(deliveries.c.id).where(deliveries.c.id == key))
        if one.time < now - KEPT_MILLIS or known.first() is not None:
            continue
        body = {"id": key, "event": one.event, "time": one.time, "text": one.text, **one.about}
        row = {"id": key, "time": now, "event": one.event, "url": receiver.key, "tries": 0}
        text = json.dumps(body, ensure_ascii=False)
        connection.execute(deliveries.insert().values(**row, body=text, next_at=now))
