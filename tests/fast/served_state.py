"""A deployment that is said to be served, by the process of the tests: nothing answers there."""

import os
from pathlib import Path

from llmops.serving.state import ServingState, write_state
from llmops.store.liveness import process_mark
from llmops.store.paths import ProjectPaths


def serve(project: Path, **changes: object) -> ProjectPaths:
    """Say that this process serves a deployment."""
    paths = ProjectPaths(project)
    state = ServingState(
        name="town",
        status="ready",
        pid=os.getpid(),
        process_started=process_mark(os.getpid()),
        url="http://127.0.0.1:1",
        base="town:v1",
        variants={},
        started="2026-01-01T00:00:00+00:00",
    )
    write_state(paths.deployment("town"), state.model_copy(update=changes))
    return paths
