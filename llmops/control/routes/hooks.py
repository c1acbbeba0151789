"""Triggers that others call: `webhook: LLMOPS_HOOK_SECRET` in a pipeline.

A call needs no API key; it is signed with the trigger's secret, over the time and the body.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Request
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool

from llmops.control.problems import Refused
from llmops.control.project import ProjectHeld
from llmops.control.shape import Answer
from llmops.errors import Failed
from llmops.spec.reference import NAME

router = APIRouter(tags=["hooks"])


class Called(Answer):
    """outcome: started (202), or skipped (200) for a reason."""

    id: str
    outcome: str
    reason: str
    job: str | None


@router.post(
    "/hooks/{pipeline}/{trigger}",
    status_code=202,
    response_model=Called,
    responses={200: {"model": Called, "description": "It was held back."}},
    summary="Call a webhook trigger",
)
async def call(
    pipeline: Annotated[str, Path(pattern=f"^{NAME}$", examples=["town"])],
    trigger: Annotated[str, Path(pattern=f"^{NAME}$", examples=["webhook"])],
    request: Request,
    project: ProjectHeld,
    signature: Annotated[
        str, Header(alias="X-LLMOps-Signature", max_length=100, examples=["sha256=0af1"])
    ] = "",
    timestamp: Annotated[
        str, Header(alias="X-LLMOps-Timestamp", max_length=20, examples=["1795200000"])
    ] = "",
) -> Any:
    """Signed: `sha256=` and the HMAC-SHA256, in hexadecimal, of `TIMESTAMP.BODY` under the
    trigger's secret; the time stamp in seconds since 1970, at most five minutes off. The same call
    starts one run, however often it is sent."""
    from llmops.scheduling.hooks import Unsigned

    body = await request.body()

    def answered() -> dict[str, Any]:
        return project.schedules.fire_webhook(pipeline, trigger, body, signature, timestamp)

    try:
        found = await run_in_threadpool(answered)
    except Unsigned as error:
        raise Refused(403, "unsigned", error.what) from None
    except Failed as error:
        raise Refused(503, "away", error.what, where=error.where, fix=error.fix) from None
    return JSONResponse(found, 202 if found["outcome"] == "started" else 200)
