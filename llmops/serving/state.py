"""What a running deployment tells others: `.llmops/serving/NAME/state.json`.

Written by its supervisor alone, atomically, at every change; gone after a clean stop. One that was
left behind by a kill is told by its process, which is no more.
"""

import json
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from llmops.serving.endpoint import Endpoint
from llmops.spec.grammar import Spec
from llmops.store.atomic import write_json
from llmops.store.liveness import is_alive
from llmops.store.paths import DeploymentPaths

KEY_VARIABLE = "LLMOPS_API_KEY"
"""Where llmops' own clients find the API key that a gateway asks for."""

Status = Literal["starting", "ready", "restarting", "held", "stopped"]


class BackendState(Spec):
    """One server behind the gateway. pid: of its process group (None: not ours, or not running);
    versions: what it has loaded; status: in its supervisor's words."""

    url: str
    uds: str | None = None
    pid: int | None = None
    status: str = "ready"
    versions: list[str] = Field(default_factory=list)


class ServingState(Spec):
    """pid: of the supervisor; url, uds: the gateway's; base: the first; backends: by the name of
    their base; variants: version by variant, as traffic goes now; waiting: the reference of each
    variant whose alias names nothing yet; problems: why a variant did not move; generation: of the
    routing table; started: ISO 8601, UTC; restarts: of backends, since then; server: what the
    backends are, with the version; keys: whether clients need an API key; own: whether
    the backends are servers of this project; sleep_problem: why
    the backend cannot sleep while something else uses the device (empty: it can)."""

    name: str
    status: Status
    pid: int
    process_started: str
    url: str
    uds: str | None = None
    gateway_pid: int | None = None
    base: str
    backends: dict[str, BackendState] = Field(default_factory=dict)
    variants: dict[str, str]
    waiting: dict[str, str] = Field(default_factory=dict)
    problems: dict[str, str] = Field(default_factory=dict)
    generation: int = 0
    started: str
    restarts: int = 0
    file: str = ""
    server: str = ""
    keys: bool = False
    own: bool = True
    sleep_problem: str = ""

    @property
    def endpoint(self) -> Endpoint:
        """The gateway's."""
        return Endpoint(self.url, self.uds, KEY_VARIABLE if self.keys else None)

    @property
    def groups(self) -> list[int]:
        """The process groups that the supervisor keeps."""
        pids = [self.gateway_pid, *(backend.pid for backend in self.backends.values())]
        return [pid for pid in pids if pid is not None]


def write_state(paths: DeploymentPaths, state: ServingState) -> None:
    write_json(paths.state, state.model_dump(mode="json"))


def read_state(paths: DeploymentPaths) -> ServingState | None:
    """The state of a deployment whose supervisor is alive; None otherwise."""
    state = last_state(paths)
    alive = state is not None and is_alive(state.pid, state.process_started)
    return state if alive else None


def last_state(paths: DeploymentPaths) -> ServingState | None:
    """The state as it was written last, whoever wrote it."""
    try:
        return ServingState.model_validate(json.loads(paths.state.read_text(encoding="utf-8")))
    except (OSError, ValueError, ValidationError):
        return None


def running(serving: Path) -> list[ServingState]:
    """Every running deployment of a project. serving: `.llmops/serving`."""
    folders = sorted(serving.iterdir()) if serving.is_dir() else []
    found = (read_state(DeploymentPaths(folder)) for folder in folders if folder.is_dir())
    return [state for state in found if state is not None]
