"""What the control process does besides answering: schedules, keeping the log, sending the outbox.

Each is a thread that survives a database or a Hub that is away: it says so once, waits longer each
time, and goes on when that is back.
"""

import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from llmops.errors import LlmopsError
from llmops.feedback.keeper import Kept, keep_on
from llmops.scheduling.clock import Clock
from llmops.scheduling.scheduler import Scheduler
from llmops.spec.settings import Settings
from llmops.store.database import open_database
from llmops.store.paths import ProjectPaths

END_SECONDS = 10.0
"""How long the step that a thread is at may take, once it is told to end."""
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
OUTBOX_SECONDS = 10.0

Tell = Callable[[str], None]


@contextmanager
def running(
    stop: threading.Event, *works: tuple[str, Callable[[], None]]
) -> Iterator[list[threading.Thread]]:
    """Each of `works`, by name, in a thread of its own; at the end of the block `stop` is set and
    the threads are waited for."""
    threads = [threading.Thread(target=work, name=name, daemon=True) for name, work in works]
    for one in threads:
        one.start()
    try:
        yield threads
    finally:
        stop.set()
        for one in threads:
            one.join(END_SECONDS)


def schedule(settings: Settings, clock: Clock, stop: threading.Event, tell: Tell) -> None:
    """The scheduler, until `stop`."""
    Scheduler(settings, clock, tell).run(stop)


def keep_log(settings: Settings, stop: threading.Event, tell: Tell) -> None:
    """The journal into the database, and retention, until `stop`."""
    told, pause = "", FIRST_PAUSE
    while not stop.is_set():
        began = time.monotonic()
        try:
            database = open_database(settings)
            try:
                keep_on(settings, ProjectPaths(settings.root), database, _teller(tell), stop)
            finally:
                database.dispose()
        except LlmopsError as error:
            said = str(error)
        except Exception:
            # A defect in keeping the log must not end the schedules.
            said = traceback.format_exc()
        else:
            return
        if time.monotonic() - began > LONGEST_PAUSE:
            told, pause = "", FIRST_PAUSE  # it went well meanwhile
        if said != told:
            tell(f"the log is not kept: {said}")
        told = said
        stop.wait(pause)
        pause = min(pause * 2, LONGEST_PAUSE)


def send_outbox(settings: Settings, stop: threading.Event, tell: Tell) -> None:
    """Pushes that wait for the Hub, each when it is due, until `stop`."""
    from llmops.registry.store import Registry

    registry, told = Registry(ProjectPaths(settings.root)), ""
    while not stop.is_set():
        try:
            if registry.paths.outbox.is_dir():
                from llmops.registry.remote.outbox import Outbox

                Outbox(registry).send_due(tell)
            said = ""
        except LlmopsError as error:
            said = str(error)
        except Exception:
            # A defect in pushing must not end the schedules.
            said = traceback.format_exc()
        if said and said != told:
            tell(f"the outbox is not sent: {said}")
        told = said
        stop.wait(OUTBOX_SECONDS)


def _teller(tell: Tell) -> Callable[[Kept], None]:
    """Of what a pass did only what a person should see."""

    def told(done: Kept) -> None:
        for damaged in done.ingested.damaged:
            tell(f"the journal is damaged: {damaged}")
        for one in done.expired:
            tell(
                f"{one.deployment}: {one.inferences} answers and {one.events} events are older "
                f"than {one.retention}; their texts are erased"
            )

    return told
