"""What has become of a job, as the files of its run tell."""

import os
import signal
import socket
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from llmops.runner.approval import Approval
from llmops.runner.record import StageRecord
from llmops.runner.run_log import RunLog
from llmops.scheduling import holder
from llmops.scheduling.holder import Holder, holding, read_holder
from llmops.scheduling.jobs import Job
from llmops.scheduling.settle import LEASE_SECONDS, LOOK_SECONDS, STARTS, settled
from llmops.store.atomic import write_json
from llmops.store.liveness import SILENT_SECONDS, process_mark
from llmops.store.paths import ProjectPaths
from tests.waiting import until

NOW = 1_800_000_000.0
GONE = {"pid": 1, "process_started": "0"}
ME = {"pid": os.getpid(), "process_started": process_mark(os.getpid())}
JOB = Job(
    id="r",
    created=0,
    state="running",
    target="p.yaml",
    overrides=[],
    force=False,
    resume=False,
    by="cli:test",
    trigger=None,
    correlation="r",
    devices=2,
    device_seconds=5.0,
    tries=1,
    host=socket.gethostname(),
    pid=1,
    lease_until=None,
    started=0,
    ended=None,
    look_at=None,
    error=None,
)


@pytest.fixture
def paths(tmp_path: Path) -> ProjectPaths:
    found = ProjectPaths(tmp_path)
    found.run("r").root.mkdir(parents=True)
    return found


def job(**changes: Any) -> Job:
    return Job(**{**JOB.__dict__, **changes})


def held(paths: ProjectPaths, **values: Any) -> None:
    base = {"host": socket.gethostname(), "started": NOW - 10, "devices": 2, **GONE}
    holder = Holder.model_validate({**base, **values})
    write_json(paths.run("r").holder, holder.model_dump())


def recorded(paths: ProjectPaths, state: str, **changes: Any) -> None:
    """A record of run `r`, as its process left it."""
    log = RunLog.begin(
        paths, "p", "p.yaml", [], [StageRecord(name="s", kind="promote", error="why")]
    )
    changed = {"id": "r", "state": state, "ended": "2027-01-15T08:00:00+00:00", **GONE, **changes}
    record = log.record.model_copy(update=changed)
    write_json(paths.run("r").record, record.model_dump())


def state(job: Job, paths: ProjectPaths, now: float = NOW, **how: Any) -> str | None:
    found = settled(job, paths, now, **how)
    return None if found is None else str(found["state"])


def leased(seconds: float) -> int:
    return int((NOW + seconds) * 1000)


@pytest.mark.parametrize(
    ("left", "state_"), [(1, None), (LEASE_SECONDS, None), (0, "queued"), (3600, "queued")]
)
def test_a_lease_that_is_over_or_cannot_be(
    paths: ProjectPaths, left: float, state_: str | None
) -> None:
    """Of an hour: the clock was stepped back."""
    assert state(job(state="starting", lease_until=leased(left)), paths) == state_


def test_a_process_that_is_known_to_be_gone_is_not_waited_for(paths: ProjectPaths) -> None:
    starting = job(state="starting", lease_until=leased(60))
    assert state(starting, paths, lost=True) == "queued"


def test_processes_that_never_begin_are_not_started_for_ever(paths: ProjectPaths) -> None:
    assert state(job(state="starting", tries=STARTS), paths) == "died"
    held(paths, tries=2)
    assert state(job(state="starting", tries=STARTS), paths) == "queued"


def test_a_living_process_is_left_alone(paths: ProjectPaths) -> None:
    held(paths, **ME)
    assert settled(job(pid=ME["pid"]), paths, NOW) is None


def test_a_process_that_has_yet_to_write_its_file_is_left_alone(paths: ProjectPaths) -> None:
    held(paths, ended=NOW, state="failed")  # of a try before
    assert settled(job(pid=7, lease_until=leased(30)), paths, NOW) is None
    assert state(job(pid=7, lease_until=leased(0)), paths) == "queued"


def test_the_end_is_written_back_with_what_it_cost(paths: ProjectPaths) -> None:
    held(paths, ended=NOW, state="refused", error="no evidence")
    found = settled(JOB, paths, NOW)
    assert found is not None
    assert (found["state"], found["error"]) == ("refused", "no evidence")
    assert (found["device_seconds"], found["ended"]) == (25.0, NOW * 1000)


@pytest.mark.parametrize(("took", "pause"), [(1, LOOK_SECONDS), (30, 300)])
def test_looking_takes_a_tenth_of_the_time_at_most(
    paths: ProjectPaths, took: float, pause: float
) -> None:
    held(paths, started=NOW - took, ended=NOW, state="waiting")
    found = settled(JOB, paths, NOW)
    assert found is not None
    assert (found["state"], found["look_at"]) == ("waiting", (NOW + pause) * 1000)


def test_what_a_run_did_before_it_waited_is_no_look(paths: ProjectPaths) -> None:
    began = datetime.fromtimestamp(NOW - 9, UTC).isoformat(timespec="seconds")
    waits = StageRecord(name="s", kind="promote", state="waiting", started=began)
    recorded(paths, "waiting", stages=[waits])
    held(paths, started=NOW - 36_000, ended=NOW, state="waiting")  # ten hours, of training
    found = settled(JOB, paths, NOW)
    assert found is not None
    assert found["look_at"] == (NOW + 90) * 1000


@pytest.mark.parametrize(("later", "state_"), [(-60, None), (0, "queued"), (5, "queued")])
def test_a_waiting_run_is_asked_once_a_person_has_answered(
    paths: ProjectPaths, later: float, state_: str | None
) -> None:
    """Whatever its row says: the answer may come while it is still said to run. An answer from
    before the last look was heard then."""
    recorded(paths, "waiting")
    held(paths, started=NOW, ended=NOW + 1, state="waiting")
    decided = datetime.fromtimestamp(NOW + later, UTC).isoformat(timespec="seconds")
    asked = Approval(run="r", stage="s", what="w", version="m:v1", digest="d", asked=decided)
    said = asked.model_copy(update={"decision": "approve", "decided": decided})
    write_json(paths.run("r").approval("s"), said.model_dump())
    assert state(job(state="waiting", look_at=leased(LOOK_SECONDS)), paths, NOW + 6) == state_


@pytest.mark.parametrize(("later", "state_"), [(59, None), (60, "queued"), (-3600, "queued")])
def test_a_waiting_run_is_asked_when_it_is_due(
    paths: ProjectPaths, later: float, state_: str | None
) -> None:
    waiting = job(state="waiting", look_at=leased(LOOK_SECONDS))
    assert state(waiting, paths, NOW + later) == state_


def test_what_a_terminal_brought_to_its_end_is_not_asked_again(paths: ProjectPaths) -> None:
    recorded(paths, "done")
    assert state(job(state="waiting", look_at=0), paths) == "done"
    assert state(job(state="queued", resume=True), paths) == "done"


def test_what_a_terminal_goes_on_with_is_left_alone(paths: ProjectPaths) -> None:
    recorded(paths, "running", **ME)
    held(paths)
    assert settled(JOB, paths, NOW) is None
    assert settled(job(state="waiting", look_at=0), paths, NOW) is None


@pytest.mark.parametrize(
    ("deaths", "left", "state_"),
    [(0, "died", "queued"), (1, "died", "died"), (0, "done", "done"), (0, "failed", "failed")],
)
def test_what_a_killed_process_left_behind(
    paths: ProjectPaths, deaths: int, left: str, state_: str
) -> None:
    """Killed in its middle; or once it had written the run's end, but not yet its own."""
    recorded(paths, left)
    held(paths, deaths=deaths)
    assert state(JOB, paths) == state_


def test_a_record_of_the_process_before_says_nothing_of_this_one(paths: ProjectPaths) -> None:
    recorded(paths, "failed", pid=2)
    held(paths)
    assert state(JOB, paths) == "queued"


def test_what_was_stopped_does_not_go_on(paths: ProjectPaths) -> None:
    held(paths, ended=NOW, state="interrupted")
    assert state(JOB, paths) == "queued"
    write_json(paths.run("r").stop, {"by": "cli:test"})
    found = settled(JOB, paths, NOW)
    assert found is not None
    assert (found["state"], found["error"]) == ("interrupted", "stopped by cli:test")


@pytest.mark.parametrize(("silent", "state_"), [(0, None), (SILENT_SECONDS, "queued")])
def test_on_another_host_signs_of_life_tell(
    paths: ProjectPaths, silent: float, state_: str | None
) -> None:
    held(paths, host="elsewhere")
    at = time.time() - silent
    os.utime(paths.run("r").holder, (at, at))
    assert state(JOB, paths) == state_


def test_a_wish_from_another_host_ends_it(
    paths: ProjectPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On its own host it gets a signal; a second one would cut it off."""
    monkeypatch.setattr(holder, "BEAT_SECONDS", 0.01)
    ended, stop = threading.Event(), paths.run("r").stop
    before = signal.signal(signal.SIGTERM, lambda *_: ended.set())
    try:
        with holding(paths.run("r"), tries=1, devices=1):
            write_json(stop, {"by": "cli:ann", "host": "elsewhere"})
            until(ended.is_set)
    finally:
        signal.signal(signal.SIGTERM, before)
    write_json(stop, {"by": "cli:ann", "host": socket.gethostname()})
    assert not holder._elsewhere(stop)


def test_a_holder_counts_those_that_were_cut_off_before_it(paths: ProjectPaths) -> None:
    run = paths.run("r")
    for deaths, ended in ((0, None), (1, None), (2, "done"), (2, None)):
        with holding(run, tries=1, devices=1) as hold:
            found = read_holder(run)
            assert found is not None
            assert found.deaths == deaths
            if ended is not None:
                hold.end(ended, None)
