"""The record of a finished simulation: what was simulated, on which versions, and what it left."""

import json

from pydantic import Field, ValidationError

from llmops.errors import Failed
from llmops.spec.grammar import Spec
from llmops.spec.source import display
from llmops.store.atomic import write_json
from llmops.store.paths import ProjectPaths


class SimulationRecord(Spec):
    """versions: by variant, None for one that named nothing then; answers: by version, those of
    comparisons apart, which are blind; events: by kind. Times in seconds since 1970; last_event:
    when the last rating was acknowledged; recipe, stage: the file and the stage that asked; parts:
    of the fingerprint."""

    name: str
    fingerprint: str
    run: str
    deployment: str
    versions: dict[str, str | None]
    users: int
    visits: int
    answers: dict[str, int]
    events: dict[str, int]
    failed: int
    started: float
    ended: float
    last_event: float = Field(description="0: nobody rated")
    recipe: str = ""
    stage: str = ""
    parts: dict[str, str] = Field(default_factory=dict)

    @property
    def id(self) -> str:
        rated = sum(self.events.values())
        return (
            f"simulated:{self.name}/{self.fingerprint[:8]} ({self.visits} visits, {rated} ratings)"
        )

    @property
    def digest(self) -> str:
        return self.fingerprint


def find_simulation(fingerprint: str, paths: ProjectPaths) -> SimulationRecord | None:
    """None when it has not finished. Raises Failed when its record is damaged."""
    path = paths.simulation(fingerprint)
    try:
        return SimulationRecord.model_validate(json.loads(path.read_bytes()))
    except FileNotFoundError:
        return None
    except (ValueError, ValidationError) as error:
        raise Failed(
            f"the record of a simulation is damaged: {error}",
            where=display(path),
            fix="remove it to simulate again",
        ) from error


def simulations(paths: ProjectPaths) -> list[SimulationRecord]:
    """All that have finished, oldest first. Raises as `find_simulation`."""
    folder = paths.simulation("x").parent
    found = [find_simulation(file.stem, paths) for file in folder.glob("*.json")]
    return sorted((one for one in found if one is not None), key=lambda one: one.started)


def keep(record: SimulationRecord, paths: ProjectPaths) -> None:
    write_json(paths.simulation(record.fingerprint), record.model_dump())
