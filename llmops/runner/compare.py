"""How two runs differ: what was asked for, what each stage was given, with what options, and what
came of it. Also for a run that failed or died: only files of the runs and manifests are read."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import yaml

from llmops.errors import BadInput
from llmops.registry.diff import used
from llmops.registry.store import Registry
from llmops.runner.observe import readings
from llmops.runner.record import RunRecord, StageRecord, find_run
from llmops.store.facts import Facts, differences, flatten
from llmops.store.files import read_object
from llmops.store.paths import ProjectPaths

_COMPILED: Mapping[str, Callable[[str], Any]] = {
    "config.yaml": yaml.safe_load,
    "base.json": json.loads,
}
_OWN = (
    "id",
    "file",
    "host",
    "pid",
    "process_started",
    "started",
    "ended",
    "correlation",
    "overrides",
    "stages",
)
_STAGE = ("state", "attempt", "output", "seconds", "error")
_ENDED = ("state", "output")
_SPEED = ("_runtime", "_per_second")
"""Figures that say again, less exactly, how long the stage took."""


def compare(paths: ProjectPaths, a: str, b: str) -> dict[str, Any]:
    """{"a", "b": the ids of two runs (each may be given as `last`), "differences": as of
    store/facts.py}. Raises NotFound."""
    one, other = find_run(paths, a), find_run(paths, b)
    found = differences(_asked(one), _asked(other))
    left, right = _stages(paths, one), _stages(paths, other)
    for name in {**left, **right}:
        facts = [side.get(name, {}) for side in (left, right)]
        if not all(facts):  # everything would be a difference
            facts = [{key: fact[key] for key in _ENDED if key in fact} for fact in facts]
        found += differences(facts[0], facts[1], f"{name}.")
    return {"a": one.id, "b": other.id, "differences": found}


def _asked(record: RunRecord) -> Facts:
    """What the whole run was asked for, and how it ended."""
    found = {key: value for key, value in record.model_dump().items() if key not in _OWN}
    return found | dict(item.partition("=")[::2] for item in record.overrides)


def _stages(paths: ProjectPaths, record: RunRecord) -> dict[str, Facts]:
    """By stage, everything that is compared."""
    planned = read_object(paths.run(record.id).plan).get("stages") or []
    plans = {stage["stage"]: stage for stage in planned}
    return {
        stage.name: {
            **{key: getattr(stage, key) for key in _STAGE},
            **_given(plans.get(stage.name, {}), record),
            **_options(plans.get(stage.name, {}), stage),
            **_result(paths, record, stage),
        }
        for stage in record.stages
    }


def _given(plan: Mapping[str, Any], record: RunRecord) -> dict[str, str]:
    """Inputs, as `NAME:vN (digest)`; of what the run itself made, as it came out."""
    made = {stage.name: (stage.output, stage.digest) for stage in record.stages}
    found = {}
    for name, item in plan.get("inputs", {}).items():
        pinned = item.get("id"), item.get("digest")
        known = made.get(item["pending"], (None, None)) if "pending" in item else pinned
        found[name] = f"{known[0] or 'to come'} ({(known[1] or '')[:12]})"
    return found


def _options(plan: Mapping[str, Any], stage: StageRecord) -> dict[str, Any]:
    """The engine's options as they were compiled; of a stage without them, whether its declaration
    is the same."""
    files = (plan.get("command") or {}).get("files") or {}
    read = [load(files[name]) for name, load in _COMPILED.items() if name in files]
    if not read:
        return {"declared": stage.declared[:12]}
    return {f"options.{key}": value for key, value in flatten(read[0]).items()}


def _result(paths: ProjectPaths, record: RunRecord, stage: StageRecord) -> dict[str, Any]:
    """Data and figures of the version that it made or found; else how far it came."""
    version = Registry(paths).known(stage.output)
    if version is not None:
        data = {f"data.{name}": said for name, said in used(version).items()}
        told = {key: value for key, value in version.metrics.items() if not key.endswith(_SPEED)}
        return {**data, **{f"figures.{key}": value for key, value in told.items()}}
    try:
        seen = readings(paths, record.id, stage.name)
    except BadInput:
        return {}
    last = next((one for one in reversed(seen) if one.loss is not None), None)
    return {"figures.step": last.step, "figures.loss": last.loss} if last else {}
