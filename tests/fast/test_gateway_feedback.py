"""Feedback and keys at a real gateway: who may say what, and what is on disk when it is said."""

import resource
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from llmops.feedback.identity import Identity, load_identity
from llmops.feedback.keys import create_key, revoke_key
from tests.fast.backend_server import BackendServer, well
from tests.fast.gateway_process import GatewayProcess, gateway, routes

PATH = "/v1/chat/completions"
HELLO = {"model": "town", "messages": [{"role": "user", "content": "Hello"}]}


@pytest.fixture
def http(running: GatewayProcess) -> Iterator[httpx.Client]:
    with running.client() as client:
        yield client


def answered(http: httpx.Client) -> str:
    found: str = http.post(PATH, json=HELLO).raise_for_status().json()["id"]
    return found


def up(inference: str, **more: Any) -> dict[str, Any]:
    return {"kind": "thumbs", "inference_id": inference, "value": "up"} | more


def comment(inference: str, text: str, number: int) -> dict[str, Any]:
    said = {"kind": "comment", "inference_id": inference, "text": text}
    return said | {"event_id": f"e{number}"}


def test_what_is_acknowledged_is_on_disk(http: httpx.Client, running: GatewayProcess) -> None:
    inference = answered(http)
    told = http.post("/v1/feedback", json=up(inference, user="ann")).json()
    record = running.records()[-1]
    assert told["ids"] == [record["id"]]
    assert (record["inference"], record["value"]) == (inference.removeprefix("chatcmpl-"), 1.0)
    assert record["user"] == load_identity(running.paths.secret).user("ann")


def test_a_list_is_kept_whole_or_not_at_all(http: httpx.Client, running: GatewayProcess) -> None:
    inference, before = answered(http), len(running.records())
    refused = http.post("/feedback", json=[up(inference), up(inference, value="sideways")])
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "[1].value")
    assert len(running.records()) == before
    kept = http.post("/feedback", json=[up(inference, event_id=f"e{n}") for n in range(50)])
    assert len(set(kept.json()["ids"])) == 50
    assert len(running.records()) == before + 50


def test_forged_foreign_and_expired_ids(http: httpx.Client, running: GatewayProcess) -> None:
    ours = load_identity(running.paths.secret)
    forged = Identity(b"x" * 32).new_id("town")
    expired = ours.new_id("town", time.time() - 7200)
    statuses = [
        http.post("/v1/feedback", json=up(inference)).status_code
        for inference in (forged, ours.new_id("other"), expired, "chatcmpl-123", "")
    ]
    assert statuses == [403, 403, 410, 400, 400]


def test_where_feedback_comes_from_is_kept(http: httpx.Client, running: GatewayProcess) -> None:
    source = {"X-LLMOps-Source": "simulated:town"}
    http.post("/v1/feedback", json=up(answered(http)), headers=source).raise_for_status()
    assert running.records()[-1]["source"] == "simulated:town"


def test_nothing_is_said_that_cannot_be_kept(http: httpx.Client, running: GatewayProcess) -> None:
    inference = answered(http)
    _, most = resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE, (0, most))
    try:
        refused = http.post(PATH, json=HELLO)
        streamed = http.post(PATH, json=HELLO | {"stream": True})
        feedback = http.post("/v1/feedback", json=up(inference))
        ready = http.get("/readyz")
    finally:
        resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE, (most, most))
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "journal_failed")
    assert "journal_failed" in streamed.text
    assert "[DONE]" not in streamed.text
    assert (feedback.status_code, ready.status_code) == (503, 503)
    answered(http)
    assert http.get("/readyz").status_code == 200


def test_a_list_is_kept_whole_or_not_at_all_by_the_disk_too(
    http: httpx.Client, running: GatewayProcess
) -> None:
    inference, before = answered(http), len(running.records())
    _, most = resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE, (2 << 20, most))
    try:
        long = "x" * 60_000
        events = [comment(inference, long, n) for n in range(100)]
        assert http.post("/feedback", json=events).status_code == 503
    finally:
        resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE, (most, most))
    assert len(running.records()) == before


def test_async_does_not_wait_for_the_disk(backend: BackendServer, tmp_path: Path) -> None:
    with gateway(tmp_path, routes(backend.url, log="async")) as process, process.client() as http:
        body = HELLO | {"stream": True}
        inference = answered(http)
        assert http.post(PATH, json=body).text.endswith("data: [DONE]\n\n")
        assert process.stop() == 0
        kept = process.records()
        assert f"chatcmpl-{kept[0]['id']}" == inference
        assert [record["error"] for record in kept] == [None, None]


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def test_keys_and_their_scopes(backend: BackendServer, tmp_path: Path) -> None:
    with gateway(tmp_path, routes(backend.url), "--require-keys") as process:
        keys = {s: create_key(process.paths, s, [s]) for s in ("chat", "read", "admin")}
        with process.client() as http:
            asked = [http.post(PATH, json=HELLO, headers=bearer(k)) for k in keys.values()]
            metrics = [http.get("/metrics", headers=bearer(k)) for k in keys.values()]
            assert [r.status_code for r in asked] == [200, 403, 200]
            assert [r.status_code for r in metrics] == [403, 403, 200]
            open_to_all = [http.get("/healthz"), http.get("/readyz")]
            open_to_all.append(http.post("/feedback", json=up(asked[0].json()["id"])))
            assert [r.status_code for r in open_to_all] == [200, 200, 200]
            revoke_key(process.paths, "chat")
            for given in (bearer(keys["chat"]), bearer("llmops_x"), bearer("\xff"), {}):
                headers = {name.encode(): value.encode("latin-1") for name, value in given.items()}
                refused = http.post(PATH, json=HELLO, headers=headers)
                assert refused.json()["error"]["code"] == "invalid_api_key"
                assert refused.status_code == 401


def test_keys_are_asked_for_beyond_loopback(backend: BackendServer, tmp_path: Path) -> None:
    with gateway(tmp_path, routes(backend.url), "--host", "0.0.0.0") as process:
        url = process.url.replace("0.0.0.0", "127.0.0.1")
        with httpx.Client(base_url=url, trust_env=False) as http:
            assert http.post(PATH, json=HELLO).status_code == 401


def test_a_unix_socket_asks_for_none_and_is_ours_alone(
    backend: BackendServer, tmp_path: Path
) -> None:
    path = tmp_path / "gateway.sock"
    with gateway(tmp_path, routes(backend.url), "--uds", path) as process:
        assert path.stat().st_mode & 0o777 == 0o600
        transport = httpx.HTTPTransport(uds=str(path))
        with httpx.Client(base_url="http://town", transport=transport) as http:
            assert http.post(PATH, json=HELLO).status_code == 200
        assert process.stop() == 0
    assert not path.exists()


def test_a_key_of_the_backend_comes_from_the_environment(
    backend: BackendServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from llmops.gateway.routes import Upstream

    monkeypatch.setenv("TOWN_KEY", "sk-town")
    backend.answer = well
    keyed = {"only": Upstream(url=f"{backend.url}/v1/", key_env="TOWN_KEY", own=False)}
    with (
        gateway(tmp_path, routes(backend.url, backends=keyed)) as process,
        process.client() as http,
    ):
        http.post(PATH, json=HELLO, headers=bearer("client")).raise_for_status()
    assert backend.asked[-1].headers["authorization"] == "Bearer sk-town"
    assert backend.asked[-1].path == PATH
