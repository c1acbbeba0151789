"""Webhooks: who may call, and that a call starts one run."""

import shutil
import subprocess

import pytest

from llmops.errors import Failed
from llmops.scheduling.hooks import Unsigned, signature
from tests.fast.scheduled import Scheduled

HOOK = "{webhook: TOWN_SECRET, name: labels}"
SECRET = "a secret of the tests"


def call(scheduled: Scheduled, body: bytes = b"{}", **changes: str) -> dict[str, object]:
    time = changes.get("time", str(int(scheduled.clock.now())))
    signed = changes.get("signed", signature(changes.get("secret", SECRET), time, body))
    name = changes.get("name", "labels")
    return scheduled.schedules.fire_webhook("town", name, body, signed, time)


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOWN_SECRET", SECRET)


def test_a_signed_call_starts_one_run_however_often_it_is_sent(scheduled: Scheduled) -> None:
    scheduled.declare(HOOK)
    found = [call(scheduled) for _ in range(3)]
    (job,) = scheduled.jobs()
    reason = {"outcome": "started", "reason": "called", "job": job.id}
    assert found == [{"id": "town/labels", **reason}] * 3
    assert (job.by, job.trigger) == ("schedule:town/labels", "town/labels")


def test_another_body_is_another_call(timetable: Scheduled) -> None:
    timetable.declare(HOOK)
    call(timetable)
    found = call(timetable, b'{"more": 1}')
    assert found["outcome"] == "skipped"
    assert str(found["reason"]).startswith("still running: ")
    timetable.end_jobs()
    assert call(timetable, b'{"more": 2}')["outcome"] == "started"


@pytest.mark.parametrize(
    "changes",
    [
        {"secret": "another"},
        {"signed": ""},
        {"signed": "sha256=ä"},
        {"name": "feedback"},
        {"time": "1700000000"},
        {"time": "²"},
        {"time": "9" * 40},
        {"time": ""},
    ],
)
def test_what_is_not_signed_starts_nothing(timetable: Scheduled, changes: dict[str, str]) -> None:
    timetable.declare(HOOK, "{every: 1h, name: feedback}")
    with pytest.raises(Unsigned):
        call(timetable, **changes)
    assert timetable.jobs() == timetable.history() == []


def test_a_call_is_signed_with_its_body_and_time(timetable: Scheduled) -> None:
    timetable.declare(HOOK)
    now = int(timetable.clock.now())
    other = signature(SECRET, str(now - 60), b"{}")
    for body, time in ((b"{ }", now - 60), (b"{}", now)):
        with pytest.raises(Unsigned):
            call(timetable, body, time=str(time), signed=other)
    assert call(timetable, b"{}", time=str(now - 60), signed=other)["outcome"] == "started"


def test_a_secret_that_is_not_set_is_told_to_who_runs_it(
    timetable: Scheduled, monkeypatch: pytest.MonkeyPatch
) -> None:
    timetable.declare(HOOK)
    monkeypatch.delenv("TOWN_SECRET")
    with pytest.raises(Failed, match="is not set"):
        call(timetable)
    monkeypatch.setenv("TOWN_SECRET", "")
    with pytest.raises(Failed, match="is not set"):
        call(timetable, secret="")


def test_a_hook_that_is_gone_or_paused(timetable: Scheduled) -> None:
    timetable.declare(HOOK)
    timetable.schedules.pause("town/labels", "cli:ann")
    assert call(timetable)["reason"] == "paused by cli:ann"
    timetable.file.unlink()
    with pytest.raises(Unsigned):
        call(timetable, b"2")


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_a_shell_can_sign() -> None:
    """As docs/scheduling.md shows."""
    made = subprocess.run(
        ["openssl", "dgst", "-sha256", "-hmac", SECRET, "-r"], input=b"123.{}", capture_output=True
    )
    assert signature(SECRET, "123", b"{}") == f"sha256={made.stdout.split()[0].decode()}"
