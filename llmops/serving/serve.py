"""Serving in the foreground: what `llmops serve` runs, until it is told to stop.

SIGTERM is taken as Ctrl-C is. Before the deployment is ready either is an interruption (exit code
130), afterwards the normal end (0).
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from llmops.errors import Interrupted
from llmops.serving.plan import ServingPlan
from llmops.serving.readiness import Report
from llmops.serving.supervisor import Supervisor
from llmops.spec.settings import Settings


def serve(
    plan: ServingPlan,
    settings: Settings,
    *,
    report: Report,
    on_ready: Callable[[Supervisor], None],
) -> None:
    """Serve a deployment until SIGINT or SIGTERM. Raises BadInput, Failed, or Interrupted when it
    was stopped before it was ready."""
    supervisor = Supervisor(plan, settings.root, report)
    ready = False
    with termination_as_interrupt() as deaf:
        try:
            supervisor.start()
            ready = True
            on_ready(supervisor)
            supervisor.watch()
        except KeyboardInterrupt:
            if not ready:
                raise Interrupted("stopped before it was ready") from None
        finally:
            deaf()
            if supervisor.started:
                report("stopping")
            supervisor.stop()


@contextmanager
def termination_as_interrupt() -> Iterator[Callable[[], None]]:
    """Within the block SIGTERM raises KeyboardInterrupt; once the yielded function was called,
    neither signal does anything, so that stopping is not cut short."""
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def deaf() -> None:
        for number in before:
            signal.signal(number, signal.SIG_IGN)

    signal.signal(signal.SIGTERM, interrupt)
    signal.signal(signal.SIGINT, interrupt)
    try:
        yield deaf
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
