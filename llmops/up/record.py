"""What `llmops up` tells others: `.llmops/parts/up.json`, written atomically at every change."""

import json
import os
from collections.abc import Sequence

from pydantic import Field, ValidationError

from llmops.spec.grammar import Spec
from llmops.store.atomic import write_json
from llmops.store.liveness import is_alive, process_mark
from llmops.store.paths import ProjectPaths
from llmops.up.part import Kept

NAME = "up"


class PartRecord(Spec):
    """pid: of its process group (None: not running); ours: whether `up` started it; detail: what
    it waits for, or how it does; restarts: after crashes; log: relative to the project."""

    name: str
    state: str
    detail: str = ""
    url: str = ""
    pid: int | None = None
    ours: bool = False
    restarts: int = 0
    log: str = ""


class UpRecord(Spec):
    """pid and process_started tell a living one from what a kill left; url: of the API."""

    pid: int
    process_started: str
    url: str
    started: str
    pipeline: str = ""
    deployment: str = ""
    parts: list[PartRecord] = Field(default_factory=list)

    @property
    def groups(self) -> list[int]:
        """The process groups that it keeps."""
        return [part.pid for part in self.parts if part.ours and part.pid is not None]


class UpFile:
    """The file of this process's own `up`."""

    def __init__(self, paths: ProjectPaths, url: str, pipeline: str, deployment: str) -> None:
        from llmops.runner.record import utc_now

        self._paths = paths
        self._written: UpRecord | None = None
        self._head = UpRecord(
            pid=os.getpid(),
            process_started=process_mark(os.getpid()),
            url=url,
            started=utc_now(),
            pipeline=pipeline,
            deployment=deployment,
        )

    def write(self, kept: Sequence[Kept]) -> None:
        parts = [_part(one, self._paths) for one in kept]
        now = self._head.model_copy(update={"parts": parts})
        if now != self._written:
            write_json(self._paths.part(NAME), now.model_dump())
            self._written = now

    def remove(self) -> None:
        self._paths.part(NAME).unlink(missing_ok=True)


def last_up(paths: ProjectPaths) -> UpRecord | None:
    """As it was written last, whoever wrote it."""
    try:
        return UpRecord.model_validate(json.loads(paths.part(NAME).read_text(encoding="utf-8")))
    except (OSError, ValueError, ValidationError):
        return None


def read_up(paths: ProjectPaths) -> UpRecord | None:
    """Of the `up` that runs; None when none does."""
    found = last_up(paths)
    return found if found is not None and is_alive(found.pid, found.process_started) else None


def _part(kept: Kept, paths: ProjectPaths) -> PartRecord:
    return PartRecord(
        name=kept.part.name,
        state=kept.state,
        detail="" if kept.state == "silent" else kept.detail,
        url=kept.url,
        pid=kept.pid,
        ours=kept.ours,
        restarts=kept.restarts,
        log=str(kept.part.log.relative_to(paths.root)),
    )
