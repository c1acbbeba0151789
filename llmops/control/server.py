"""The control process: the API on uvicorn, with the scheduler, the ingester and the sender of the
outbox as its threads.

SIGTERM or Ctrl-C ends it in order: no new requests, those under way end within a few seconds, the
threads end after the step that they are at, the database is closed, its announcement is removed.
Runs and deployments that were started through it go on.
"""

import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING

from llmops.control.presence import announced, refuse_a_second
from llmops.control.threads import keep_log, running, schedule, send_outbox
from llmops.errors import BadInput
from llmops.spec.deployment import is_loopback
from llmops.spec.settings import Settings
from llmops.store.listening import UVICORN, bound, url_of
from llmops.store.paths import ProjectPaths

if TYPE_CHECKING:
    from fastapi import FastAPI

    from llmops.control.project import Project

PORT = 8700
DRAIN_SECONDS = 5
BACKLOG = 512


@dataclass(frozen=True)
class Options:
    """port: None for the usual one; 0: any that is free. scheduler, ingest: whether their threads
    run here. require_keys: also on loopback, as behind a proxy that others reach."""

    host: str = "127.0.0.1"
    port: int | None = None
    scheduler: bool = True
    ingest: bool = True
    require_keys: bool = False


def run(settings: Settings, options: Options, report: Callable[[str], None]) -> None:
    """Serve until told to stop. Raises BadInput when a control of this project runs already, the
    place is taken, or keys are needed and there are none."""
    from llmops.control.app import create_app

    os.chdir(settings.root)  # as paths are told, and as runs are started
    paths = ProjectPaths(settings.root)
    second = refuse_a_second(paths, options.port is not None)
    keys = needs_keys(options, paths)
    with ExitStack() as stack:
        port = PORT if options.port is None else options.port
        listening = stack.enter_context(bound(options.host, port))
        url = url_of(listening)
        app = create_app(settings, keys=keys)
        project: Project = app.state.project
        stack.callback(project.close)
        works = _works(settings, options, project, report)
        project.threads = stack.enter_context(running(project.ending, *works))
        listening.listen(BACKLOG)
        stack.enter_context(announced(paths, url))
        if second:
            report(second)
        report(f"llmops control of {settings.root} at {url}")
        _answer(app, listening, project.ending)


def _works(
    settings: Settings, options: Options, project: "Project", report: Callable[[str], None]
) -> list[tuple[str, Callable[[], None]]]:
    """The threads, by name."""
    outbox = partial(send_outbox, settings, project.ending, report)
    works: list[tuple[str, Callable[[], None]]] = [("outbox", outbox)]
    if options.ingest:
        works.append(("ingest", partial(keep_log, settings, project.ending, report)))
    if options.scheduler:
        clock, ending = project.clock, project.ending
        works.append(("scheduler", partial(schedule, settings, clock, ending, report)))
    return works


def _answer(app: "FastAPI", listening: socket.socket, ending: threading.Event) -> None:
    """Answer until SIGTERM or SIGINT, which set `ending` at once, so that streams end too."""
    import uvicorn

    class Server(uvicorn.Server):
        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            ending.set()
            super().handle_exit(sig, frame)

    config = uvicorn.Config(
        app,
        loop="asyncio",
        lifespan="off",
        timeout_graceful_shutdown=DRAIN_SECONDS,
        **UVICORN,
    )
    # uvicorn raises the signal that stopped it once more, when it is done.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    Server(config).run(sockets=[listening])


def needs_keys(options: Options, paths: ProjectPaths) -> bool:
    """Whether callers must show a key: at any address but loopback. Raises BadInput when they must
    and there is none that would do."""
    from llmops.control.access import would_do
    from llmops.feedback.keys import list_keys

    if is_loopback(options.host) and not options.require_keys:
        return False
    if not any(would_do(key, "read") for key in list_keys(paths)):
        raise BadInput(
            f"at {options.host} callers need an API key, and none may do anything here",
            fix="`llmops keys create NAME --scope run --scope promote` makes one; or listen at "
            "127.0.0.1",
        )
    return True


def schedule_only(settings: Settings, report: Callable[[str], None]) -> None:
    """The scheduler without the API, until SIGTERM or SIGINT."""
    from llmops.scheduling.clock import SystemClock

    os.chdir(settings.root)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    report(f"llmops scheduler of {settings.root}")
    schedule(settings, SystemClock(), stop, report)
