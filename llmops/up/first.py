"""The pipeline's first run, asked for through the control API: it makes what there is to serve."""

import json
import urllib.error
import urllib.request
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from llmops.errors import Failed, Waiting
from llmops.spec.source import display

SECONDS = 30.0
LIVING = ("approval", "queued", "starting", "running", "waiting")


class FirstRun:
    """control: the API's URL; root: the project's directory."""

    def __init__(self, control: str, pipeline: Path, root: Path) -> None:
        self._control = control
        self._pipeline = pipeline
        self._file = str(pipeline.resolve().relative_to(root))
        self._key = uuid.uuid4().hex

    def begin(self) -> tuple[str, bool]:
        """The run's id, and whether it was asked for here: one that is on its way is enough.

        Raises Waiting while the API is away, Failed with what it says against it.
        """
        there = self._ask("GET", "/runs?limit=50")["items"]
        named = (self._file, display(self._pipeline))
        for run in there:
            if run["state"] in LIVING and run["target"] in named:
                return str(run["id"]), False
        return str(self._ask("POST", "/pipelines/run", {"pipeline": self._file})["id"]), True

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        # The same key for the same wish, so that asking again is no second run.
        headers = {"Content-Type": "application/json", "Idempotency-Key": self._key}
        data = json.dumps(body).encode() if body is not None else None
        url = self._control + path
        request = urllib.request.Request(url, data, headers if data else {}, method=method)
        try:
            with _opener().open(request, timeout=SECONDS) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            raise _refused(error, self._pipeline) from error
        except (OSError, ValueError) as error:
            raise Waiting(f"the API does not answer: {error}") from error


def _refused(error: urllib.error.HTTPError, pipeline: Path) -> Failed | Waiting:
    with error:
        try:
            problem = json.loads(error.read())
        except ValueError:
            problem = {}
    told = problem.get("detail") or problem.get("title") or f"the API answered {error.code}"
    if error.code >= 500:
        return Waiting(str(told))
    where, fix = problem.get("where") or display(pipeline), problem.get("fix") or ""
    return Failed(str(told), where=str(where), fix=str(fix))


def _opener() -> urllib.request.OpenerDirector:
    """Without proxies, which would swallow requests to this machine."""
    return urllib.request.build_opener(urllib.request.ProxyHandler({}))
