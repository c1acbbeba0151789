"""The pipeline's first run, asked for through the control API: it makes what there is to serve."""

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from llmops.errors import Failed, Waiting
from llmops.runner.record import list_runs
from llmops.spec.source import display
from llmops.store.paths import ProjectPaths

SECONDS = 30.0


def on_its_way(paths: ProjectPaths, pipeline: Path) -> str | None:
    """A run of the pipeline that has begun and not ended, by its id."""
    file = str(pipeline.resolve().relative_to(paths.root))
    living = ("running", "waiting")
    runs = (run for run in list_runs(paths) if run.state in living and run.file == file)
    return next((run.id for run in runs), None)


def begin(control: str, pipeline: Path, root: Path, key: str) -> str:
    """Ask for a run; its id. key: the same for the same wish, so that asking again is no second
    run. Raises Waiting while the API is away, Failed with what it says against it."""
    body = {"pipeline": str(pipeline.resolve().relative_to(root))}
    request = urllib.request.Request(
        f"{control}/pipelines/run",
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json", "Idempotency-Key": key},
    )
    try:
        with _opener().open(request, timeout=SECONDS) as response:
            return str(json.load(response)["id"])
    except urllib.error.HTTPError as error:
        problem = _problem(error.read())
        if error.code >= 500:
            raise Waiting(f"the API answered {error.code}: {problem.get('detail', '')}") from error
        raise Failed(
            str(problem.get("detail") or problem.get("title") or f"answered {error.code}"),
            where=str(problem.get("where") or display(pipeline)),
            fix=str(problem.get("fix") or ""),
        ) from error
    except OSError as error:
        raise Waiting(f"the API does not answer: {error}") from error


def _opener() -> urllib.request.OpenerDirector:
    """Without proxies, which would swallow requests to this machine."""
    return urllib.request.build_opener(urllib.request.ProxyHandler({}))


def _problem(body: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
