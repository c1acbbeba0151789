"""The line that the journal keeps of an inference."""

import json
from dataclasses import dataclass

import orjson

from llmops.feedback.records import FORMAT, InferenceRecord
from llmops.gateway.exposure import Exposure
from llmops.gateway.request import Request
from llmops.gateway.transcript import Transcript


@dataclass(frozen=True, slots=True)
class Course:
    """How an exchange went. status: what the client got; error: why there is no whole answer."""

    status: int
    error: str | None
    first_token_ms: float | None
    total_ms: float


def inference_line(
    deployment: str, request: Request, exposure: Exposure, transcript: Transcript, course: Course
) -> bytes:
    """One line of JSON, without its end."""
    chat = request.endpoint == "chat"
    record = InferenceRecord(
        format=FORMAT,
        type="inference",
        id=exposure.id,
        time=request.time,
        deployment=deployment,
        variant=exposure.choice.variant,
        version=exposure.choice.version,
        generation=exposure.generation,
        unit=exposure.unit,
        user=request.user,
        session=request.session,
        endpoint=request.endpoint,
        stream=request.stream,
        messages=request.body["messages"] if chat else None,
        prompt=None if chat else request.body.get("prompt"),
        parameters=request.parameters(),
        choices=transcript.choices(),
        prompt_tokens=transcript.prompt_tokens,
        completion_tokens=transcript.completion_tokens,
        first_token_ms=course.first_token_ms,
        total_ms=course.total_ms,
        status=course.status,
        error=course.error,
        group=exposure.group,
        position=exposure.position,
        source=request.source,
    )
    try:
        return orjson.dumps(record)
    except orjson.JSONEncodeError:
        # A body at the limit of orjson's depth lies one level deeper in here.
        return json.dumps(record).encode()
