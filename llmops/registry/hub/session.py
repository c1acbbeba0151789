"""The HTTP session of huggingface_hub, so that it waits no longer than llmops says.

The client itself retries for minutes, and sleeps for as long as a Retry-After asks. Here what may
pass is raised at once, and client.py decides. Imports the client: only where the Hub is asked.
"""

import email.utils
import time
from typing import Any
from urllib.parse import urlsplit

import httpx2
from huggingface_hub import set_client_factory
from huggingface_hub.utils import parse_ratelimit_headers

from llmops.registry.hub.errors import HubAway, HubBusy

CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 60.0
LONGEST_SECONDS = 86400.0
"""A Hub that asks for a longer pause is asked again after this."""
PASSING = (408, 429, 500, 502, 503, 504)


class _Session(httpx2.Client):
    def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        """Raises HubBusy for an answer that may pass, HubAway without one."""
        try:
            answer = super().send(request, **options)
        except httpx2.TransportError as error:
            raise away(error, request) from None
        if answer.status_code not in PASSING:
            return answer
        answer.close()
        host = urlsplit(str(request.url)).netloc.rpartition("@")[2]
        after = _after(answer)
        raise HubBusy(
            f"the Hub at {host} answers {answer.status_code} {answer.reason_phrase}",
            after=None if after is None else min(after, LONGEST_SECONDS),
        )


def install() -> None:
    """Let the client use it from now on."""
    timeout = httpx2.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS)
    set_client_factory(lambda: _Session(follow_redirects=True, timeout=timeout))


def away(error: httpx2.TransportError, request: httpx2.Request) -> HubAway:
    """What a connection that failed is to a user."""
    host = urlsplit(str(request.url)).netloc.rpartition("@")[2]
    if isinstance(error, httpx2.TimeoutException):
        return HubBusy(f"the Hub at {host} did not answer in time")
    if isinstance(error, httpx2.ConnectError):
        return HubAway(f"the Hub at {host} cannot be reached: {error}")
    return HubBusy(f"the connection to the Hub at {host} was cut")


def _after(answer: httpx2.Response) -> float | None:
    """The seconds that an answer asks to wait, by either of the headers that say so."""
    limit = parse_ratelimit_headers(answer.headers)
    if answer.status_code == 429 and limit is not None and limit.remaining == 0:
        return float(limit.reset_in_seconds)
    text = answer.headers.get("Retry-After", "").strip()
    if text.isdecimal():
        return float(text)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except ValueError:
        return None
