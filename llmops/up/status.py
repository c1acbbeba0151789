"""What of a project runs now, from any terminal: what `llmops status` shows."""

from typing import Any

from llmops.control.presence import present
from llmops.runner.record import list_runs
from llmops.serving.state import running
from llmops.spec.settings import Settings
from llmops.store.paths import ProjectPaths
from llmops.up.record import UpRecord, read_up

ALONE = ("control", "ui")
"""Parts that say who they are wherever they were started."""


def status(settings: Settings) -> dict[str, Any]:
    """{project, up: {pid, started, url, ...} or None, parts: [...], deployments: [...], runs:
    [...]}; parts that run without `up` are among them, runs are those that have not ended."""
    paths = ProjectPaths(settings.root)
    record = read_up(paths)
    served = [state.model_dump(mode="json") for state in running(paths.serving)]
    runs = [
        {
            "id": run.id,
            "state": run.state,
            "target": run.target,
            "started": run.started,
            "stage": next((s.name for s in run.stages if s.state == "running"), None),
        }
        for run in list_runs(paths)
        if run.state in ("running", "waiting")
    ]
    return {
        "project": str(settings.root),
        "up": record.model_dump(exclude={"parts"}) if record is not None else None,
        "parts": _parts(paths, record),
        "deployments": served,
        "runs": runs,
    }


def _parts(paths: ProjectPaths, record: UpRecord | None) -> list[dict[str, Any]]:
    found = [part.model_dump() for part in record.parts] if record is not None else []
    named = {part["name"] for part in found}
    for name in ALONE:
        there = present(paths, name)
        if name not in named and there is not None:
            shown = {"name": name, "state": "ready", "detail": "", "ours": False, "restarts": 0}
            found.append({**shown, "url": there["url"], "pid": there["pid"], "log": ""})
    return found
