"""A gateway of its own in front of servers that exist already: `llmops gateway DEPLOYMENT`.

In front of an `openai` backend it is all that there is to start, so it follows the aliases as
`llmops serve` does. Beside a deployment that runs it is one more gateway: it follows the routing
table that the deployment's supervisor writes, and ends with it.
"""

from collections.abc import Callable

from llmops.errors import BadInput, Failed, Interrupted
from llmops.serving.endpoint import Endpoint
from llmops.serving.gateway import GatewayProcess
from llmops.serving.listen import Place
from llmops.serving.readiness import Report
from llmops.serving.serve import termination_as_interrupt
from llmops.serving.state import read_state
from llmops.spec.deployment import Deployment
from llmops.spec.load import Loaded
from llmops.spec.settings import Settings
from llmops.spec.source import display
from llmops.store.paths import ProjectPaths


def replicate(
    loaded: Loaded[Deployment],
    settings: Settings,
    *,
    report: Report,
    on_ready: Callable[[Endpoint], None],
) -> None:
    """One more gateway of a deployment that runs, until SIGINT or SIGTERM, or until the deployment
    ends. Raises BadInput when it does not run, the place is taken or an override is not about the
    place; Failed when the gateway cannot be started, Interrupted when it was stopped before it was
    ready."""
    paths = ProjectPaths(settings.root).deployment(loaded.spec.name)
    require_running(loaded, settings)
    _require_only_a_place(loaded)
    place = Place.of(loaded.spec.listen, settings.root).claim()
    log = paths.replica_log(place.uds.name if place.uds else str(place.port))
    gateway = GatewayProcess(loaded.spec.name, place, settings.root, log, report)
    ready = False
    with termination_as_interrupt() as deaf:
        try:
            gateway.start()
            gateway.await_healthy()
            ready = True
            on_ready(gateway.endpoint)
            while read_state(paths) is not None:
                gateway.keep()
                gateway.wait(0.5)
            raise Failed(f"deployment `{loaded.spec.name}` has ended, and so does its gateway")
        except KeyboardInterrupt:
            if not ready:
                raise Interrupted("stopped before it was ready") from None
        finally:
            deaf()
            gateway.stop()


def require_running(loaded: Loaded[Deployment], settings: Settings) -> None:
    """Raises BadInput, with the command that starts it, when a deployment does not run."""
    paths = ProjectPaths(settings.root).deployment(loaded.spec.name)
    if read_state(paths) is None:
        raise BadInput(
            f"deployment `{loaded.spec.name}` is not being served, so there is nothing to stand "
            "in front of",
            where=display(loaded.path),
            fix=f"llmops serve {display(loaded.path)} starts its backend and a gateway",
        )


def _require_only_a_place(loaded: Loaded[Deployment]) -> None:
    """All else is as the deployment that runs has it: its routing table is what is followed."""
    for key in loaded.source.overridden:
        if key[0] != "listen":
            raise BadInput(
                f"one more gateway of `{loaded.spec.name}` takes no other overrides than `listen`",
                where=loaded.source.where(key),
                fix="give it to `llmops serve`, when the deployment is started",
            )
