"""The routing table: `.llmops/serving/NAME/routes.json`, the one way into a gateway.

A supervisor (or `llmops gateway`) writes it, atomically, with a generation that grows by one at
each change; gateways read it and nothing else of the project's state. Every exposure records the
generation under which it was assigned.
"""

import contextlib
import json
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from llmops.errors import Failed
from llmops.spec.deployment import Unit
from llmops.spec.grammar import Spec
from llmops.spec.source import display
from llmops.store.atomic import append_line, write_json
from llmops.store.paths import DeploymentPaths


class Upstream(Spec):
    """A backend. url: its root, without /v1; uds: the Unix socket to reach it by, if any; key_env:
    the environment variable with its key; own: whether it is a vLLM of this project's own."""

    url: str
    uds: str | None = None
    key_env: str | None = None
    own: bool = True


class Target(Spec):
    """Where a version answers: the backend's name, and what the model is called there."""

    backend: str
    model: str


class RoutedVariant(Spec):
    """version: NAME:vN (or the upstream's name of a model that is not registered); weight: its
    share of the units, relative to the sum."""

    version: str
    weight: float = Field(ge=0)


class Routes(Spec):
    """versions: every version that can be asked for by name, those of the variants included.

    A variant whose alias names nothing yet is not in `variants`. salt: of the assignment; the
    same salt and the same weights give the same assignment in every gateway. window: seconds for
    which an answer may be rated.
    """

    format: Literal[1] = 1
    deployment: str
    generation: int = Field(ge=1)
    written: str = Field(description="ISO 8601, UTC")
    backends: dict[str, Upstream]
    versions: dict[str, Target]
    variants: dict[str, RoutedVariant]
    unit: list[Unit]
    salt: str
    log: Literal["required", "async"]
    window: float


class Generation(Spec):
    """What is remembered of a table when the next has taken its place."""

    generation: int
    written: str
    variants: dict[str, RoutedVariant]


def write_routes(path: Path, routes: Routes) -> None:
    """Let gateways follow `routes`. Its weights and versions are remembered first, so that every
    exposure's generation can be looked up."""
    kept = Generation(
        generation=routes.generation, written=routes.written, variants=routes.variants
    )
    append_line(DeploymentPaths(path.parent).generations, kept.model_dump_json())
    write_json(path, routes.model_dump(mode="json"))


def read_generations(paths: DeploymentPaths) -> list[Generation]:
    """The tables that a deployment had, oldest first; what a crash tore is left out."""
    try:
        lines = paths.generations.read_bytes().splitlines()
    except FileNotFoundError:
        return []
    found = []
    for line in lines:
        with contextlib.suppress(ValidationError):
            found.append(Generation.model_validate_json(line))
    return found


def read_routes(path: Path) -> Routes | None:
    """None when there is no table. Raises Failed when it is damaged."""
    try:
        return Routes.model_validate(json.loads(path.read_bytes()))
    except FileNotFoundError:
        return None
    except (ValueError, ValidationError) as error:
        raise Failed(
            f"the routing table is damaged: {error}",
            where=display(path),
            fix="remove it and start the deployment again",
        ) from error
