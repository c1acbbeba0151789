"""Downloads through the UI: a browser may not reach control, and a link can carry no API key.

A ticket is an unguessable name for one request to control, as one person may make it; it stands in
a link and is good for an hour. What control sends is passed on as it comes, never kept.
"""

import secrets
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx

from llmops.ui.client import READ_SECONDS, Client, problem_of

if TYPE_CHECKING:
    from fastapi import FastAPI

GOOD_SECONDS = 3600.0
MOST = 2_000
_SILENCE_SECONDS = 300.0


@dataclass(frozen=True)
class Ticket:
    """ends: on the monotonic clock."""

    path: str
    params: dict[str, Any]
    key: str | None
    ends: float


class Tickets:
    """Those of this process; the oldest go first."""

    def __init__(self) -> None:
        self._found: OrderedDict[str, Ticket] = OrderedDict()

    def link(self, path: str, params: Mapping[str, Any], key: str | None) -> str:
        """The address, relative to the UI's, of a download of a path of control."""
        name = secrets.token_urlsafe(24)
        given = {k: v for k, v in params.items() if v}
        self._found[name] = Ticket(path, given, key, time.monotonic() + GOOD_SECONDS)
        while len(self._found) > MOST:
            self._found.popitem(last=False)
        return f"download/{name}"

    def find(self, name: str) -> Ticket | None:
        found = self._found.get(name)
        return found if found is not None and time.monotonic() < found.ends else None


def add_downloads(app: "FastAPI", client: Client, tickets: Tickets) -> None:
    """Add the route to the UI's application."""
    from fastapi import Response
    from fastapi.responses import PlainTextResponse, StreamingResponse

    @app.get("/download/{name}")
    async def download(name: str) -> Response:
        ticket = tickets.find(name)
        if ticket is None:
            text = "This link is over; the Feedback tab has a new one.\n"
            return PlainTextResponse(text, status_code=404)
        try:
            answer = await _open(client, ticket)
        except httpx.HTTPError:
            return PlainTextResponse("control does not answer.\n", status_code=503)
        if not answer.is_success:
            await answer.aread()
            await answer.aclose()
            return PlainTextResponse(f"{problem_of(answer)}\n", status_code=answer.status_code)
        headers = {
            "Content-Type": "application/x-ndjson",
            "Content-Disposition": 'attachment; filename="feedback.jsonl"',
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "no-store",
        }
        return StreamingResponse(_passed_on(answer), headers=headers)


async def _open(client: Client, ticket: Ticket) -> httpx.Response:
    timeout = httpx.Timeout(READ_SECONDS, read=_SILENCE_SECONDS)
    request = client.http.build_request(
        "GET",
        client.control + ticket.path,
        params=ticket.params,
        headers=client.api(ticket.key).headers,
        timeout=timeout,
    )
    return await client.http.send(request, stream=True)


async def _passed_on(answer: httpx.Response) -> AsyncIterator[bytes]:
    try:
        async for piece in answer.aiter_bytes():
            yield piece
    finally:
        await answer.aclose()
