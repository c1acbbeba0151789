"""Where a server answers, and one HTTP request to it: OpenAI's error shapes made plain.

Used by the supervisor, the golden comparison and the client. Loopback or a Unix socket: proxies
from the environment are left aside, because they would swallow requests to 127.0.0.1.
"""

import json
import os
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from llmops.errors import Failed
from llmops.gateway.replies import error_message

if TYPE_CHECKING:
    import httpx

_SNIPPET = 300


def root_of(url: str) -> str:
    """The root of a server that somebody names with or without `/v1`."""
    return url.rstrip("/").removesuffix("/v1")


@dataclass(frozen=True)
class Endpoint:
    """The root of an OpenAI-compatible server. url: without `/v1`; uds: the Unix socket to reach
    it by, if any (the host in `url` is then only a name); key_env: the environment variable with
    the key that it asks for."""

    url: str
    uds: str | None = None
    key_env: str | None = None

    def __str__(self) -> str:
        return f"unix:{self.uds}" if self.uds else self.url

    def listens(self) -> bool:
        """Whether something accepts connections there now."""
        if self.uds is None:
            try:
                socket.create_connection(_address(self.url), timeout=2.0).close()
            except OSError:
                return False
            return True
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(2.0)
            try:
                probe.connect(self.uds)
            except OSError:
                return False
            return True

    def client(self, *, timeout: float = 120.0) -> "httpx.Client":
        """timeout: seconds without a byte; connecting may take 5."""
        import httpx

        key = os.environ.get(self.key_env, "") if self.key_env else ""
        verify = self.url.startswith("https:")  # reading the authorities takes 15 ms
        return httpx.Client(
            base_url=self.url,
            headers={"Authorization": f"Bearer {key}"} if key else {},
            transport=httpx.HTTPTransport(verify, uds=self.uds) if self.uds else None,
            timeout=httpx.Timeout(timeout, connect=5.0),
            trust_env=False,
            verify=verify,
        )


def _address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


def post(client: "httpx.Client", path: str, body: dict[str, Any]) -> dict[str, Any]:
    """The JSON object that answers. Raises Failed when it cannot be reached, on a status other
    than 200 and on anything that is no JSON object."""
    response = _sent(client, "POST", path, body)
    return decoded(response.status_code, response.text, f"POST {path}")


def order(client: "httpx.Client", path: str, body: dict[str, Any] | None = None) -> None:
    """POST where the answer is only that it was done. Raises Failed as `post` does."""
    response = _sent(client, "POST", path, body)
    if response.status_code != 200:
        decoded(response.status_code, response.text, f"POST {path}")


def get(client: "httpx.Client", path: str) -> dict[str, Any]:
    """As `post`, without a body."""
    response = _sent(client, "GET", path)
    return decoded(response.status_code, response.text, f"GET {path}")


def _sent(
    client: "httpx.Client", method: str, path: str, body: dict[str, Any] | None = None
) -> "httpx.Response":
    import httpx

    try:
        return client.request(method, path, json=body)
    except httpx.TransportError as error:
        raise unreachable(error, client) from error


def decoded(status: int, text: str, asked: str) -> dict[str, Any]:
    """The body of an answer, once it is known to be one."""
    try:
        body = json.loads(text)
    except ValueError:
        body = None
    if status == 200 and isinstance(body, dict) and "error" not in body:
        return body
    if status == 200 and not isinstance(body, dict):
        raise Failed("the server's answer is not a JSON object", where=asked, fix=_short(text))
    raise Failed(
        f"the server answered {status}: {error_message(body) or _short(text)}", where=asked
    )


def unreachable(error: Exception, client: "httpx.Client") -> Failed:
    import httpx

    what = str(error) or type(error).__name__
    if isinstance(error, httpx.ReadTimeout):
        what = "no answer in time"
    elif isinstance(error, httpx.RemoteProtocolError | httpx.ReadError):
        what = f"the connection broke off: {what}"
    return Failed(what, where=str(client.base_url), fix="is the server still running?")


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _SNIPPET else text[:_SNIPPET] + "..."
