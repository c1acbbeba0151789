"""Whether a part answers over HTTP."""

import http.client
from collections.abc import Callable
from urllib.parse import urlsplit

LONGEST = 1.0
"""Seconds; the parts are on this machine."""


def over_http(url: str, path: str) -> Callable[[], str | None]:
    """A look at `path` below `url`: `ready`, or None when it does not answer, or not well."""
    parts = urlsplit(url)

    def look() -> str | None:
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=LONGEST)
        try:
            connection.request("GET", path)
            return "ready" if connection.getresponse().status < 500 else None
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    return look
