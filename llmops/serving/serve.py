"""Serving in the foreground: what `llmops serve` runs, until it is told to stop.

SIGTERM is taken as Ctrl-C is. Before the deployment is ready either is an interruption (exit code
130), afterwards the normal end (0).
"""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from llmops.errors import Interrupted
from llmops.serving.plan import ServingPlan
from llmops.serving.readiness import Report
from llmops.serving.supervisor import Supervisor
from llmops.spec.settings import Settings
from llmops.store.signals import handling


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

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    def deaf() -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)

    with handling(interrupt, signal.SIGTERM, signal.SIGINT) as handled:
        yield deaf if handled else lambda: None
