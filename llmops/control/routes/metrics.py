"""Figures for Prometheus."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from llmops.control.access import may
from llmops.control.metrics import MEDIA, metrics
from llmops.control.project import ProjectHeld

router = APIRouter(tags=["health"], dependencies=[may("read")])

_EXAMPLE = '# TYPE llmops_control_jobs gauge\nllmops_control_jobs{state="queued"} 2\n'


class Text(Response):
    media_type = MEDIA


@router.get(
    "/metrics",
    response_class=Text,
    summary="Figures for Prometheus",
    responses={200: {"content": {MEDIA: {"example": _EXAMPLE}}}},
)
def figures(request: Request, project: ProjectHeld) -> Response:
    return Text(metrics(project, request.app.state.counted))
