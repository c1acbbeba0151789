"""Who may ask the control API what: keys and scopes, pages in browsers, bodies."""

import contextlib
import http.client
from collections.abc import Iterator

import httpx
import pytest

from llmops.feedback.keys import create_key, revoke_key
from llmops.store.paths import ProjectPaths
from tests.fast.control_process import ControlProcess, control, make_project

RUN = {"target": "recipes/base.yaml"}
KEYS = {
    "reader": ["read"],
    "runner": ["run"],
    "keeper": ["promote"],
    "app": ["chat"],
    "own": ["promote:town", "push:town"],
    "other": ["promote:sea", "push:sea", "delete:sea"],
    "chief": ["override"],
    "cleaner": ["delete"],
    "all": ["admin"],
}
READERS = KEYS.keys() - {"app"}
FORCED = {"version": "v9", "alias": "candidate", "override": True, "why": "a test"}
SHOWN: dict[str, str] = {}


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlProcess]:
    """One that asks for keys."""
    root = tmp_path_factory.mktemp("control") / "town"
    make_project(root)
    with (root / "llmops.toml").open("a") as file:
        file.write('[hub]\nrepositories.town = "acme/town"\n')
    for name, scopes in KEYS.items():
        SHOWN[name] = create_key(ProjectPaths(root), name, scopes)
    with control(root, "--no-scheduler", "--no-ingest", "--require-keys") as process:
        yield process


@pytest.fixture(scope="module")
def private(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlProcess]:
    root = tmp_path_factory.mktemp("control") / "town"
    make_project(root)
    with control(root, "--no-scheduler", "--no-ingest") as process:
        yield process


def ask(process: ControlProcess, method: str, path: str, key: str, body: object = None) -> int:
    headers = {"authorization": f"Bearer {SHOWN[key]}"}
    with process.client(headers=headers) as client:
        return client.request(method, path, json=body).status_code


def test_without_a_key_only_health_is_told(locked: ControlProcess) -> None:
    assert locked.get("/healthz").status_code == 200
    refused = locked.get("/runs")
    assert (refused.status_code, refused.json()["code"]) == (401, "key_needed")
    assert refused.headers["www-authenticate"] == "Bearer"
    assert locked.get("/metrics").status_code == 401


def test_a_key_that_is_unknown_is_refused(locked: ControlProcess) -> None:
    for header in ("Bearer llmops_nothing", "Basic dXNlcjpwYXNz", "Bearer"):
        assert locked.get("/runs", headers={"authorization": header}).status_code == 401


@pytest.mark.parametrize(
    ("method", "path", "body", "allowed"),
    [
        ("GET", "/runs", None, READERS),
        ("GET", "/feedback", None, READERS),
        ("POST", "/plans", RUN, {"runner", "all"}),
        ("POST", "/models/town/rollback", {}, {"keeper", "own", "chief", "all"}),
        ("POST", "/models/town/promote", FORCED, {"chief", "all"}),
        ("POST", "/models/town/push", {"version": "v9"}, {"own", "all"}),
        ("POST", "/models/town/pull", {}, {"own", "all"}),
        ("POST", "/models/town/pull", {"aliases": True}, {"all"}),
        ("POST", "/models/town/pull", {"repository": "mallory/town"}, {"all"}),
        ("POST", "/models/town/versions/9/delete", {}, {"cleaner", "all"}),
        ("POST", "/storage/gc", {}, {"cleaner", "all"}),
        ("POST", "/runs/x/approve", {}, {"keeper", "chief", "all"}),
        ("POST", "/feedback/forget", {"user": "alice"}, {"all"}),
        ("GET", "/feedback/export", None, {"all"}),
        ("POST", "/schedules/unhalt", None, {"runner", "all"}),
    ],
)
def test_a_scope_covers_what_it_says(
    locked: ControlProcess, method: str, path: str, body: object, allowed: set[str]
) -> None:
    let_in = {key for key in KEYS if ask(locked, method, path, key, body) != 403}
    assert let_in == allowed


def test_what_a_key_does_is_recorded_as_its_own(locked: ControlProcess) -> None:
    headers = {"authorization": f"Bearer {SHOWN['runner']}"}
    with locked.client(headers=headers) as client:
        assert client.get("/whoami").json()["by"] == "api:runner"
        run = client.post("/runs", json=RUN).json()["id"]
        assert client.get(f"/runs/{run}").json()["by"] == "api:runner"


def test_keys_of_two_people_do_not_share_idempotency_keys(locked: ControlProcess) -> None:
    runs = set()
    for key in ("runner", "all"):
        headers = {"authorization": f"Bearer {SHOWN[key]}", "idempotency-key": "same"}
        with locked.client(headers=headers) as client:
            runs.add(client.post("/runs", json=RUN).json()["id"])
    assert len(runs) == 2


def test_a_revoked_key_ends_at_once(locked: ControlProcess) -> None:
    SHOWN["gone"] = create_key(locked.paths, "gone", ["read"])
    assert ask(locked, "GET", "/runs", "gone") == 200
    revoke_key(locked.paths, "gone")
    assert ask(locked, "GET", "/runs", "gone") == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_a_page_from_elsewhere_starts_nothing(
    private: ControlProcess, headers: dict[str, str]
) -> None:
    answer = private.post("/runs", RUN, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "foreign_page")


def test_a_page_of_its_own_may(private: ControlProcess) -> None:
    assert private.post("/runs", RUN, headers={"origin": private.url}).status_code == 202


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "[::1].x", "", "a b"])
def test_a_name_that_was_pointed_here_is_refused(private: ControlProcess, host: str) -> None:
    answer = private.get("/runs", headers={"host": host})
    assert answer.status_code in (400, 421)


def test_its_own_names_are_its_own(private: ControlProcess) -> None:
    port = private.url.rpartition(":")[2]
    for host in ("localhost", f"localhost:{port}", "127.0.0.1", f"[::1]:{port}"):
        assert private.get("/healthz", headers={"host": host}).status_code == 200


def test_no_page_may_read_an_answer(private: ControlProcess) -> None:
    answer = private.get("/runs", headers={"origin": "https://evil.example"})
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_a_form_is_no_request(private: ControlProcess) -> None:
    with private.client() as client:
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
            answer = client.post("/runs", content=b"{}", headers={"content-type": kind})
            assert (answer.status_code, answer.json()["code"]) == (415, "not_json")


def test_a_body_that_is_too_large_is_refused_before_it_is_read(private: ControlProcess) -> None:
    connection = http.client.HTTPConnection(private.url.removeprefix("http://"), timeout=20)
    try:
        connection.putrequest("POST", "/plans")
        connection.putheader("content-type", "application/json")
        connection.putheader("content-length", str(1 << 40))
        connection.endheaders()
        assert connection.getresponse().status == 413
    finally:
        connection.close()


def test_a_body_without_a_length_is_counted(private: ControlProcess) -> None:
    def chunks() -> Iterator[bytes]:
        yield b'{"target": "'
        for _ in range(40):
            yield b"x" * (1 << 16)

    given = {"content-type": "application/json"}
    # It may hang up before all is sent.
    with private.client(headers=given) as client, contextlib.suppress(httpx.WriteError):
        assert client.post("/plans", content=chunks()).status_code == 413
