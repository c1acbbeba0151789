"""A deployment that is served by this process, as `llmops serve` does in one of its own."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from llmops.engines.contract import Environment
from llmops.errors import LlmopsError
from llmops.serving.patience import Patience
from llmops.serving.supervisor import Supervisor, prepare
from llmops.spec.deployment import Deployment
from llmops.spec.load import Loaded
from llmops.spec.settings import Settings


@contextmanager
def serving(
    loaded: Loaded[Deployment],
    settings: Settings,
    *,
    report: Callable[[str], None] = lambda _line: None,
    environment: Environment | None = None,
    patience: Patience | None = None,
) -> Iterator[Supervisor]:
    """Ready within the block, where it follows its aliases, and gone after it. Raises BadInput, or
    Failed when a backend cannot be started or serves something else than what was registered."""
    plan = prepare(loaded, settings, environment)
    supervisor = Supervisor(plan, settings.root, report, patience)

    def watch() -> None:
        try:
            supervisor.watch()
        except LlmopsError as error:
            report(str(error))

    watcher = threading.Thread(target=watch, name=f"serving {plan.name}")
    try:
        supervisor.start()
        watcher.start()
        yield supervisor
    finally:
        supervisor.end()
        if watcher.ident is not None:
            watcher.join()
        supervisor.stop()
