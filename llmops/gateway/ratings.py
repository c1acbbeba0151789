"""`POST /v1/feedback`: events about answers, acknowledged once they are on disk."""

import time
from collections.abc import Mapping
from typing import Any

import orjson

from llmops.feedback.acceptance import accept
from llmops.feedback.fields import Refused as NotAccepted
from llmops.feedback.records import FeedbackRecord
from llmops.gateway.gateway import Gateway
from llmops.gateway.replies import Refused, Reply, json_reply
from llmops.gateway.request import source_of

MOST_EVENTS = 10_000


async def rate(gateway: Gateway, headers: Mapping[bytes, bytes], body: Any) -> Reply:
    """Keep one event, or a list of them: all or none. Raises Refused."""
    events = body if isinstance(body, list) else [body]
    if not events or len(events) > MOST_EVENTS:
        raise Refused(400, f"Send one feedback event, or a list of 1 to {MOST_EVENTS}")
    window = gateway.table.require().routes.window
    source = source_of(headers)
    now = time.time()
    records = []
    for number, event in enumerate(events):
        place = f"[{number}]" if isinstance(body, list) else ""
        record = _accepted(gateway, event, window, now, place)
        if source is not None:
            record["source"] = source
        records.append(record)
    await _keep(gateway, [orjson.dumps(record) for record in records])
    for record in records:
        gateway.metrics.feedback.add((record["kind"],))
    return json_reply({"object": "feedback", "ids": [record["id"] for record in records]})


def _accepted(
    gateway: Gateway, event: Any, window: float, now: float, place: str
) -> FeedbackRecord:
    try:
        return accept(
            event,
            identity=gateway.identity,
            deployment=gateway.options.deployment,
            window=window,
            now=now,
        )
    except NotAccepted as error:
        param = f"{place}.{error.param}".lstrip(".") if error.param else place or None
        message = error.message[:1].upper() + error.message[1:]
        raise Refused(error.status, message, code="feedback_refused", param=param) from None


async def _keep(gateway: Gateway, lines: list[bytes]) -> None:
    try:
        await gateway.keep(*lines)
    except Refused:
        what = "The feedback cannot be kept now"
        raise Refused(503, what, code="journal_failed") from None
