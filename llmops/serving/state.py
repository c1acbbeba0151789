"""What a running deployment tells others: `.llmops/serving/NAME/state.json`.

Written by its supervisor alone, atomically, at every change; gone after a clean stop. One that was
left behind by a kill is told by its process, which is no more.
"""

import json
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from llmops.serving.endpoint import Endpoint
from llmops.spec.grammar import Spec
from llmops.store.atomic import write_json
from llmops.store.liveness import is_alive
from llmops.store.paths import DeploymentPaths

Status = Literal["starting", "ready", "restarting", "stopped"]


class ServingState(Spec):
    """pid: of the supervisor; backend_pid: of the backend's process group; variants: version by
    variant; started: ISO 8601, UTC; restarts: since then."""

    name: str
    status: Status
    pid: int
    process_started: str
    backend_pid: int | None = None
    url: str
    uds: str | None = None
    base: str
    variants: dict[str, str]
    started: str
    restarts: int = 0
    file: str = ""

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint(self.url, self.uds)


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


def remove_state(paths: DeploymentPaths) -> None:
    paths.state.unlink(missing_ok=True)


def running(serving: Path) -> list[ServingState]:
    """Every running deployment of a project. serving: `.llmops/serving`."""
    folders = sorted(serving.iterdir()) if serving.is_dir() else []
    found = (read_state(DeploymentPaths(folder)) for folder in folders if folder.is_dir())
    return [state for state in found if state is not None]
