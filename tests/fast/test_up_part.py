"""A part that `llmops up` keeps: real processes, on a clock that the tests move."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from llmops.up.backoff import Backoff
from llmops.up.part import SILENT_SECONDS, WAITING_SECONDS, Kept, Part
from tests.waiting import until

LIVES = "import signal\nwhile True: signal.pause()"
CRASHES = "import sys; print('error: the disk is full', file=sys.stderr); sys.exit(1)"
ENDS = "pass"
DEAF = (
    "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('1', flush=True)\n" + LIVES
)
LEAVES = f"""
import signal, subprocess, sys
child = subprocess.Popen([sys.executable, '-S', '-c', {LIVES!r}], start_new_session=True)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print(child.pid, flush=True)
{LIVES}"""


class World:
    """What a part sees: whether it answers, what it waits for, who else holds it, the time."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.now = 0.0
        self.url = "http://127.0.0.1:1"
        self.answer: str | None = None
        self.missing = ""
        self.other: int | None = None
        self.said: list[str] = []
        self.kept: list[Kept] = []

    def part(self, program: str, *, grace: float = 10.0, group: bool = False) -> Kept:
        part = Part(
            name="part",
            argv=[sys.executable, "-S", "-c", program],
            log=self.root / "part.log",
            url=lambda: self.url,
            answers=lambda: self.answer,
            holder=lambda: self.other,
            awaits=lambda: self.missing,
            grace=grace,
            group=group,
        )
        self.kept.append(Kept(part, self.root, self.said.append, clock=lambda: self.now))
        return self.kept[-1]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    for kept in made.kept:
        kept.kill()
        until(kept.gone)


def step_until(kept: Kept, state: str) -> None:
    def there() -> bool:
        kept.step()
        return kept.state == state

    until(there)


def test_pauses_double_up_to_a_minute() -> None:
    backoff = Backoff()
    assert [backoff.delay(0) for _ in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]


def test_a_minute_of_health_makes_pauses_short_again() -> None:
    backoff = Backoff()
    for _ in range(5):
        backoff.delay(59)
    assert backoff.delay(60) == 1
    assert backoff.delay(0) == 2


def test_it_is_ready_once_it_answers(world: World) -> None:
    kept = world.part(LIVES)
    kept.step()
    kept.step()
    assert kept.state == "starting"
    world.answer = "ready"
    kept.step()
    assert (kept.state, world.said) == ("ready", ["part is ready at http://127.0.0.1:1"])


def test_where_it_answers_is_told_once_it_is_known(world: World) -> None:
    kept = world.part(LIVES)
    world.url = ""
    kept.step()
    assert kept.url == ""
    world.answer, world.url = "ready", "http://127.0.0.1:2"
    kept.step()
    assert (kept.url, world.said) == (world.url, ["part is ready at http://127.0.0.1:2"])


def test_it_is_not_started_before_what_it_waits_for(world: World) -> None:
    kept = world.part(LIVES)
    world.missing = "town@production names nothing yet"
    kept.step()
    assert (kept.state, kept.detail, kept.pid) == ("waiting", world.missing, None)
    world.missing, world.now = "", WAITING_SECONDS - 0.1
    kept.step()
    assert kept.state == "waiting"
    world.now = WAITING_SECONDS
    kept.step()
    assert kept.state == "starting"


def test_a_crash_is_told_with_its_cause_and_it_is_started_again_after_a_pause(
    world: World,
) -> None:
    kept = world.part(CRASHES)
    step_until(kept, "restarting")
    assert "the disk is full; starting it again in 1 s" in world.said[0]
    world.now = 0.9
    kept.step()
    assert (kept.restarts, kept.pid) == (0, None)
    world.now = 1.0
    kept.step()
    assert (kept.restarts, kept.state) == (1, "starting")


def test_one_that_ended_in_order_stays_so(world: World) -> None:
    kept = world.part(ENDS)
    step_until(kept, "stopped")
    world.now = 1000
    kept.step()
    assert kept.state == "stopped"


def test_one_that_was_stopped_and_is_started_alone_is_there_again(world: World) -> None:
    kept = world.part(ENDS)
    step_until(kept, "stopped")
    world.other = os.getpid()
    kept.step()
    assert (kept.state, kept.pid) == ("elsewhere", os.getpid())


def test_one_that_somebody_else_runs_is_left_alone(world: World) -> None:
    kept = world.part(LIVES)
    world.other = os.getpid()
    kept.step()
    kept.stop()
    assert (kept.ours, kept.pid) == (False, None)
    assert kept.gone()


def test_it_is_taken_over_when_somebody_else_s_ended(world: World) -> None:
    kept = world.part(LIVES)
    world.other = os.getpid()
    kept.step()
    assert kept.state == "elsewhere"
    world.other, world.now = None, WAITING_SECONDS
    kept.step()
    assert (kept.state, kept.ours) == ("starting", True)


def test_one_that_is_silent_for_too_long_is_ended_and_started_again(world: World) -> None:
    kept = world.part(DEAF)
    world.answer = "ready"
    step_until(kept, "ready")
    first, world.answer, world.now = kept.pid, None, SILENT_SECONDS - 1
    kept.step()
    assert (kept.state, kept.pid) == ("silent", first)
    world.now = SILENT_SECONDS + 1
    step_until(kept, "restarting")


def test_one_that_answers_again_is_well(world: World) -> None:
    kept = world.part(LIVES)
    world.answer = "ready"
    step_until(kept, "ready")
    world.answer, world.now = None, 30
    kept.step()
    world.answer = "ready"
    kept.step()
    assert kept.state == "ready"


def test_stopping_waits_for_its_end(world: World) -> None:
    kept = world.part(LIVES)
    kept.step()
    pid = kept.pid
    assert pid is not None
    kept.stop()
    until(kept.gone)
    assert (kept.state, exists(pid)) == ("stopped", False)


def test_one_that_does_not_end_is_made_to(world: World) -> None:
    kept = world.part(DEAF, grace=0.2)
    kept.step()
    until(lambda: said_number(kept))
    kept.stop()
    until(kept.gone)


def test_killing_ends_it_at_once(world: World) -> None:
    kept = world.part(DEAF, grace=1000.0)
    kept.step()
    until(lambda: said_number(kept))
    kept.stop()
    kept.kill()
    until(kept.gone)


@pytest.mark.parametrize("group", [True, False])
@pytest.mark.parametrize("way", [Kept.stop, Kept.kill])
def test_what_it_starts_in_sessions_of_its_own_outlives_it_only_when_told(
    world: World, group: bool, way: Callable[[Kept], None]
) -> None:
    kept = world.part(LEAVES, group=group, grace=0.2)
    kept.step()
    until(lambda: said_number(kept))
    child = said_number(kept)
    assert child is not None
    way(kept)
    until(kept.gone)
    try:
        assert exists(child) is group
    finally:
        if group:
            os.kill(child, signal.SIGKILL)


def said_number(kept: Kept) -> int | None:
    """What a program says once it is there."""
    text = kept.part.log.read_text()
    return int(text) if text.endswith("\n") else None


def exists(pid: int) -> bool:
    """Whether a process lives; one that waits to be collected does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
