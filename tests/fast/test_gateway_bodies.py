"""What clients send by mistake or by malice: an error in OpenAI's shape, and no crash."""

import json
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.fast.backend_server import BackendServer
from tests.fast.gateway_process import GatewayProcess, gateway, routes

PATH = "/v1/chat/completions"
LIMIT = 100_000
HELLO = b'{"model": "town", "messages": [{"role": "user", "content": "Hello"}]}'


@pytest.fixture(scope="module")
def running(
    backend: BackendServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[GatewayProcess]:
    folder = tmp_path_factory.mktemp("project")
    with gateway(folder, routes(backend.url), "--body-limit", LIMIT) as process:
        yield process
        assert process.log() == ""


@pytest.fixture
def http(running: GatewayProcess) -> Iterator[httpx.Client]:
    """At the end the gateway must still answer."""
    with running.client() as client:
        yield client
        assert client.post(PATH, content=HELLO).status_code == 200


def nested(depth: int, key: str = "messages") -> bytes:
    inner = b"[" * depth + b"]" * depth
    if key == "messages":
        return b'{"model": "town", "messages": [{"role": "user", "content": ' + inner + b"}]}"
    return HELLO[:-1] + b', "extra": ' + inner + b"}"


def error(response: httpx.Response, status: int) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    found: dict[str, Any] = response.json()["error"]
    assert set(found) == {"message", "type", "param", "code"}
    return found


@pytest.mark.parametrize("path", [PATH, "/v1/completions", "/v1/feedback", "/predict"])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"nonsense",
        b'{"model": "\xff\xfe"}',
        b'{"model": "\\ud800", "messages": []}',
        b"\x00" * 1000,
        b"[" * 50_000,
        b'{"a":' * 15_000,
        b"NaN",
        b"3",
        b'"text"',
        b"[]",
        b'{"model": 3}',
        b'{"messages": {}, "prompt": 5, "stream": "yes"}',
    ],
    ids=lambda body: repr(body[:12]),
)
def test_what_is_no_request_is_refused(http: httpx.Client, path: str, body: bytes) -> None:
    error(http.post(path, content=body), 400)


@pytest.mark.parametrize("key", ["messages", "extra"])
@pytest.mark.parametrize("depth", range(244, 262))
def test_depth_has_a_limit_and_below_it_all_goes_well(
    http: httpx.Client, running: GatewayProcess, key: str, depth: int
) -> None:
    response = http.post(PATH, content=nested(depth, key))
    assert response.status_code in (200, 400)
    if response.status_code == 200:
        assert running.records()[-1]["id"] == response.headers["x-request-id"]
    else:
        assert "deeply" in error(response, 400)["message"]


def test_a_huge_body_is_refused_told_beforehand_or_not(http: httpx.Client) -> None:
    body = HELLO[:-1] + b', "pad": "' + b"x" * LIMIT + b'"}'
    assert error(http.post(PATH, content=body), 413)["code"] == "body_too_large"
    error(http.post(PATH, content=iter([body[:50_000], body[50_000:]])), 413)


def test_a_body_in_pieces_is_one(http: httpx.Client) -> None:
    assert http.post(PATH, content=iter([HELLO[:9], HELLO[9:]])).status_code == 200


def test_a_compressed_body_is_refused(http: httpx.Client) -> None:
    error(http.post(PATH, content=b"\x1f\x8b", headers={"Content-Encoding": "gzip"}), 415)


def test_an_unknown_path_and_a_wrong_method(http: httpx.Client) -> None:
    error(http.get("/v1/nothing"), 404)
    error(http.get("/v1/models/town:v9"), 404)
    response = http.get(PATH)
    error(response, 405)
    assert response.headers["allow"] == "POST"
    error(http.post("/metrics"), 405)
    assert http.head("/healthz").status_code == 200


@pytest.mark.parametrize(
    "sent",
    [
        b"GARBAGE\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: 100\r\n\r\n{",
        b"POST /v1/chat/completions HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET /" + b"a" * 200_000,
    ],
    ids=lambda sent: repr(sent[:12]),
)
def test_what_is_no_http_hurts_nobody_else(
    http: httpx.Client, running: GatewayProcess, sent: bytes
) -> None:
    url = urlsplit(running.url)
    with socket.create_connection((url.hostname or "", url.port or 0), timeout=5) as raw:
        raw.sendall(sent)


def test_unknown_ids_and_texts_survive_unchanged(
    http: httpx.Client, running: GatewayProcess, backend: BackendServer
) -> None:
    text = '\u0000 \u20ac \U0001f600 \\ " \u2028 \n'
    body = {"model": "town", "messages": [{"role": "user", "content": text}]}
    http.post(PATH, content=json.dumps(body)).raise_for_status()
    assert backend.asked[-1].body["messages"] == body["messages"]
    assert running.records()[-1]["messages"] == body["messages"]
