"""Live events of a run, as server-sent events.

    event: metrics
    id: sft:1:12:4096
    data: {"stage": "sft", "items": [...]}

`stage`, `alarm`, `metrics`, `log` and, last, `end`. Whoever comes back sends `Last-Event-ID` and
misses nothing; how the stages are, with their alarms, is told again. A run that waits its turn says
nothing until it begins.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from llmops.control import run_detail
from llmops.control.access import may
from llmops.control.project import Project, ProjectHeld
from llmops.control.routes.runs import RunId
from llmops.runner.observe import Change, changes

router = APIRouter(tags=["runs"], dependencies=[may("read")])

ALIVE_SECONDS = 15.0
"""Between two signs of life on a stream where nothing changes, for proxies and clients."""
RETRY_MILLISECONDS = 2000
LOOK_SECONDS = 1.0
"""Between two looks at a run that has yet to begin."""
ALIVE = b": still there\n\n"
_TO_COME = ("approval", "queued", "starting")
_EXAMPLE = 'event: end\nid: sft:1:12:4096\ndata: {"state": "done"}\n\n'


class EventStream(StreamingResponse):
    media_type = "text/event-stream"


@router.get(
    "/runs/{run}/events",
    response_class=EventStream,
    summary="What changes in a run, as it happens",
    responses={200: {"content": {"text/event-stream": {"example": _EXAMPLE}}}},
)
async def events(
    run: RunId,
    project: ProjectHeld,
    last_event_id: Annotated[str, Header(max_length=512)] = "",
) -> EventStream:
    """Ends with the event `end` once the run has ended, or waits for evidence or a person."""
    known = await run_in_threadpool(run_detail.detail, run, project)
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return EventStream(_told(project, known["id"], last_event_id), headers=headers)


async def _told(project: Project, run: str, seen: str) -> AsyncIterator[bytes]:
    yield f"retry: {RETRY_MILLISECONDS}\n\n".encode()
    async for sign in _begun(project, run):
        yield sign
    said = time.monotonic()
    if not project.paths.run(run).record.exists():
        return
    async for change in changes(project.paths, run, seen):
        if project.ending.is_set():
            return
        if change is not None:
            yield _event(change)
        elif time.monotonic() - said < ALIVE_SECONDS:
            continue
        else:
            yield ALIVE
        said = time.monotonic()


async def _begun(project: Project, run: str) -> AsyncIterator[bytes]:
    """Until the run is under way: signs of life; the event `end` for one that never will be."""
    said = time.monotonic()
    while not project.ending.is_set():
        found = await run_in_threadpool(run_detail.detail, run, project)
        begun = project.paths.run(run).record.exists()
        if found["state"] not in _TO_COME and (begun or found["state"] != "running"):
            if not begun:
                yield _event(Change("end", {key: found[key] for key in ("state", "ended")}, ""))
            return
        if time.monotonic() - said > ALIVE_SECONDS:
            yield ALIVE
            said = time.monotonic()
        await asyncio.sleep(LOOK_SECONDS)


def _event(change: Change) -> bytes:
    data = json.dumps(change.data, ensure_ascii=False, separators=(",", ":"))
    return f"event: {change.event}\nid: {change.id}\ndata: {data}\n\n".encode()
