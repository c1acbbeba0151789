"""What people ask of the schedules: list, next times, run now, pause, resume, halt, history.

The CLI and the API call the same methods; they give plain values for JSON, with times as ISO 8601.
"""

import json
from typing import Any

import sqlalchemy as sa

from llmops.errors import BadInput, NotFound
from llmops.scheduling.calendar import has_calendar, next_times
from llmops.scheduling.clock import Clock, SystemClock, millis
from llmops.scheduling.declared import Declarations, Declared
from llmops.scheduling.due import shown
from llmops.scheduling.firing import free_time, start, target_of
from llmops.scheduling.halt import end_halt, halted, set_halt
from llmops.scheduling.history import history, newest
from llmops.scheduling.hooks import Call, answer
from llmops.scheduling.looks import pairs as pairs_of
from llmops.scheduling.runs import Runs, Then
from llmops.scheduling.sync import seen_of, sync, trigger_of
from llmops.spec.settings import Settings
from llmops.spec.suggest import did_you_mean
from llmops.store.database import reading, writing
from llmops.store.paths import ProjectPaths
from llmops.store.tables import jobs, triggers


class Schedules:
    """The schedules of a project. database: open; whoever opened it closes it."""

    def __init__(self, settings: Settings, database: sa.Engine, clock: Clock | None = None) -> None:
        self._settings = settings
        self._paths = ProjectPaths(settings.root)
        self._database = database
        self._clock = clock or SystemClock()
        self._declarations = Declarations(settings)

    def list(self) -> dict[str, Any]:
        """{"items": schedules by id, "halted": by whom, "problems": of files}."""
        found = self._synced()
        with reading(self._database) as connection:
            query = sa.select(triggers).order_by(triggers.c.id)
            rows = connection.execute(query).mappings().all()
            last = newest(connection)
            halt = halted(connection)
        return {
            "items": [_schedule(row, last.get(row["id"])) for row in rows],
            "halted": None if halt is None else {**halt, "since": shown(halt["since"])},
            "problems": [*found.broken.values(), *found.problems.values()],
        }

    def next_times(self, id: str, count: int = 5) -> dict[str, Any]:
        """{"id", "times": the next, "reason": why there are none}."""
        self._synced()
        with reading(self._database) as connection:
            row = _found(connection, id)
        trigger = trigger_of(row)
        if row["gone"] is not None:
            return {"id": id, "times": [], "reason": seen_of(row).get("gone")}
        if not has_calendar(trigger) or row["next_at"] is None:
            reason = {
                "feedback": "when there are enough new pairs",
                "webhook": "when it is called",
            }.get(trigger.kind, "never: the calendar has no such day")
            return {"id": id, "times": [], "reason": reason}
        times = next_times(trigger, row["next_at"], count)
        return {"id": id, "times": [shown(time) for time in times], "reason": None}

    def run_now(self, id: str, by: str, then: Then | None = None) -> dict[str, Any]:
        """Start its pipeline as the trigger would, now: no limit or pause holds a person back.
        {"id", "job"}. Raises BadInput where nothing may start at all."""
        self._synced()
        with reading(self._database) as connection:
            row = _found(connection, id)
        if row["gone"] is not None:
            raise BadInput(f"{id} is not declared: {seen_of(row).get('gone')}")
        target, now = target_of(row, self._settings), self._now()
        if target.error is not None:
            raise target.error
        with writing(self._database) as connection:
            halt = halted(connection)
            if halt is not None:
                why = f": {halt['why']}" if halt["why"] else ""
                raise BadInput(f"halted by {halt['by']}{why}", fix="llmops schedule unhalt")
            due, row = free_time(connection, id, now), _found(connection, id)
            job = start(connection, self._paths, row, target, due, now, f"by hand ({by})", by=by)
            if then is not None:
                then(connection, job)
        return {"id": id, "job": job}

    def pause(self, id: str, by: str, why: str = "") -> dict[str, Any]:
        """Nothing fires until it is resumed; what would have is recorded."""
        values = {"paused": self._now(), "paused_by": by, "paused_why": why}
        return self._changed(id, values, only=triggers.c.paused.is_(None))

    def resume(self, id: str, by: str) -> dict[str, Any]:
        values = {"paused": None, "paused_by": None, "paused_why": None}
        return self._changed(id, values)

    def halt(self, by: str, why: str = "", stop_runs: bool = False) -> dict[str, Any]:
        """The kill switch: nothing starts any more, neither triggers nor queued runs.
        {"halted", "stopped": runs that were told to stop}."""
        with writing(self._database) as connection:
            set_halt(connection, by, why, self._now())
            halt = halted(connection)
            query = sa.select(jobs.c.id).where(jobs.c.state.in_(("starting", "running")))
            running = list(connection.execute(query).scalars()) if stop_runs else []
        assert halt is not None
        stopped = [run for run in running if self._stop(run, by)]
        return {"halted": {**halt, "since": shown(halt["since"])}, "stopped": stopped}

    def unhalt(self, by: str) -> dict[str, Any]:
        with writing(self._database) as connection:
            return {"halted": None, "was": end_halt(connection)}

    def history(
        self, id: str | None = None, limit: int = 50, after: str | None = None
    ) -> dict[str, Any]:
        """A page of {"items", "next"}, the newest first; of one trigger, or of all."""
        self._synced()
        with reading(self._database) as connection:
            if id is not None:
                _found(connection, id)
            return history(connection, id, limit, after)

    def fire_webhook(
        self, pipeline: str, trigger: str, body: bytes, signature: str, timestamp: str
    ) -> dict[str, Any]:
        """Start a pipeline because somebody called: {"id", "outcome", "reason", "job"}; the same
        call again gives the same. Raises Unsigned (hooks.py) for what is not signed with the
        trigger's secret, or an unknown trigger."""
        self._synced()
        call = Call(f"{pipeline}/{trigger}", body, signature, timestamp)
        return answer(call, self._settings, self._database, self._now())

    def _stop(self, run: str, by: str) -> bool:
        """False for one that has ended by itself."""
        try:
            Runs(self._settings, self._database).stop(run, by)
        except BadInput:
            return False
        return True

    def _changed(self, id: str, values: dict[str, Any], only: Any = None) -> dict[str, Any]:
        self._synced()
        with writing(self._database) as connection:
            _found(connection, id)
            query = sa.update(triggers).where(triggers.c.id == id)
            query = query if only is None else query.where(only)
            connection.execute(query.values(values))
            row = _found(connection, id)
            return _schedule(row, newest(connection).get(id))

    def _synced(self) -> Declared:
        found = self._declarations.read()
        sync(self._database, found, self._now())
        return found

    def _now(self) -> int:
        return millis(self._clock.now())


def _found(connection: sa.Connection, id: str) -> sa.RowMapping:
    row = connection.execute(sa.select(triggers).where(triggers.c.id == id)).mappings().first()
    if row is not None:
        return row
    known = list(connection.execute(sa.select(triggers.c.id)).scalars())
    fix = did_you_mean(id, known) if known else "declare `triggers:` in a file in pipelines/"
    raise NotFound(f"no schedule `{id}`", fix=fix)


def _schedule(row: sa.RowMapping, last: dict[str, Any] | None) -> dict[str, Any]:
    """One schedule for JSON."""
    stored, seen = json.loads(row["declared"]), seen_of(row)
    calendar = row["kind"] in ("cron", "every") and row["gone"] is None
    paused = {"by": row["paused_by"], "why": row["paused_why"]}
    pairs = None
    if row["kind"] == "feedback":
        need = stored["trigger"]["feedback"]["new_pairs"]
        have = pairs_of(row)["have"] if "have" in seen else None
        pairs = {"have": have, "need": need}
    return {
        "id": row["id"],
        "pipeline": row["pipeline"],
        "name": row["id"].partition("/")[2],
        "file": row["file"],
        "kind": row["kind"],
        "declared": stored["trigger"],
        "limits": stored["limits"],
        "next_at": shown(row["next_at"]) if calendar and row["next_at"] is not None else None,
        "paused": None if row["paused"] is None else {**paused, "since": shown(row["paused"])},
        "gone": None
        if row["gone"] is None
        else {"since": shown(row["gone"]), "reason": seen.get("gone")},
        "pairs": pairs,
        "problem": seen.get("error"),
        "last": last,
    }
