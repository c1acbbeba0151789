"""What a run's files and the registry tell of one stage that trained."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llmops.registry.manifest import Manifest
from llmops.registry.store import Registry
from llmops.runner.alarm import Alarm, alarms
from llmops.runner.observe import figures_of, readings
from llmops.runner.record import RunRecord, StageRecord
from llmops.store.paths import ProjectPaths


@dataclass(frozen=True)
class Trained:
    """running: more is to come; items: figures by step, as of runner.observe; total: steps that
    were planned; made: the version, if there is one; before: the one that the same recipe made
    before it."""

    running: bool
    items: Sequence[Mapping[str, Any]]
    total: int
    alarms: Sequence[Alarm]
    warnings: Sequence[str]
    made: Manifest | None
    before: Manifest | None

    @property
    def best(self) -> tuple[float, float] | None:
        """Step and value of the lowest evaluation loss."""
        found = self.points("eval_loss")
        return min(found, key=lambda point: point[1]) if found else None

    @property
    def args(self) -> Mapping[str, Any]:
        """The engine's options, as the recipe set them."""
        return dict(self.made.lineage.resolved.get("args") or {}) if self.made else {}

    @property
    def can_keep_best(self) -> bool:
        """The engine loads no best checkpoint of a reward model."""
        return self.made is None or self.made.stage != "rm"

    @property
    def keeps_best(self) -> bool:
        """Whether what was registered is the best checkpoint, not the last step."""
        stopped = self.made is not None and bool(self.made.lineage.stopped)
        return stopped or bool(self.args.get("load_best_model_at_end"))

    def points(self, name: str) -> list[tuple[float, float]]:
        """One figure by step."""
        return [
            (float(one["step"]), float(one[name]))
            for one in self.items
            if one.get(name) is not None
        ]


def trained(
    record: RunRecord, stage: StageRecord, paths: ProjectPaths, registry: Registry
) -> Trained | None:
    """None for a stage that trained nothing in this run."""
    found = readings(paths, record.id, stage.name) if stage.attempt is not None else []
    items = figures_of(found)
    if not items:
        return None
    made = registry.known(stage.output)
    return Trained(
        running=stage.state == "running",
        items=items,
        total=max(reading.total for reading in found),
        alarms=alarms(found),
        warnings=[reading.warning for reading in found if reading.warning],
        made=made,
        before=_before(made, registry) if made else None,
    )


def _before(made: Manifest, registry: Registry) -> Manifest | None:
    same = [
        row.id
        for row in registry.rows(made.name)
        if row.number < made.number and row.recipe == made.lineage.recipe
    ]
    return registry.get(same[-1]) if same else None
