"""What llmops makes of a Hub that refuses, is busy or away. The far side is the tests' own Hub
(tests/hub); the client is huggingface_hub as it is."""

import traceback

import pytest
from huggingface_hub import CommitOperationAdd

from llmops.errors import LlmopsError
from llmops.registry.hub.client import asked, speaking
from llmops.registry.hub.client import hub as as_user
from llmops.registry.hub.errors import Conflict, HubAway, HubBusy
from tests.fast.protocol_server import closed_port
from tests.hub.server import READER, TOKEN, Hub

ID = "town/small"
WHERE = f"hub:{ID}"


def info() -> str:
    return str(as_user().model_info(ID).sha)


def refused() -> LlmopsError:
    with pytest.raises(LlmopsError) as caught:
        asked(info, WHERE, tries=1)
    assert caught.value.fix
    assert caught.value.where == WHERE
    return caught.value


def test_it_asks_as_the_user_and_says_who_it_is(hub: Hub) -> None:
    hub.repo(ID, private=True)
    asked(info, WHERE)
    assert hub.headers[-1]["authorization"] == f"Bearer {TOKEN}"
    assert hub.headers[-1]["user-agent"].startswith("llmops/")
    assert hub.asked == [f"GET /api/models/{ID}"]  # and nothing else is fetched or told


@pytest.mark.parametrize(
    ("status", "code", "text"),
    [
        (401, "", "asks who you are"),
        (401, "RepoNotFound", "shows no such repository"),
        (403, "", "does not allow it to this token"),
        (403, "GatedRepo", "let in whom they know"),
        (404, "RepoNotFound", "shows no such repository"),
        (404, "RevisionNotFound", "no such revision"),
        (404, "EntryNotFound", "no such file"),
        (409, "", "something else there"),
        (412, "", "something else there"),
        (418, "", "answers 418"),
    ],
)
def test_what_it_refuses_is_said_with_what_to_do(
    hub: Hub, status: int, code: str, text: str
) -> None:
    hub.fault("GET", "/api/", status=status, headers={"X-Error-Code": code} if code else {})
    error = refused()
    assert text in error.what
    assert not isinstance(error, HubAway)
    assert isinstance(error, Conflict) == (status in (409, 412))


def test_a_wrong_token_is_not_a_missing_repository(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_wrongwrongwrong")
    assert "does not accept the token" in refused().what


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_what_passes_is_tried_again(hub: Hub, status: int) -> None:
    hub.repo(ID)
    hub.fault("GET", "/api/", status=status, times=2)
    waits: list[float] = []
    assert asked(info, WHERE, wait=waits.append)
    assert waits == [1.0, 2.0]


def test_it_waits_as_long_as_it_is_asked_to(hub: Hub) -> None:
    hub.repo(ID)
    hub.fault("GET", "/api/", status=429, headers={"Retry-After": "7"})
    hub.fault("GET", "/api/", status=429, headers={"RateLimit": '"api";r=0;t=5'})
    waits: list[float] = []
    said: list[str] = []
    assert asked(info, WHERE, wait=waits.append, say=said.append)
    assert waits == [7.0, 5.0]
    assert "answers 429" in said[0]
    assert said[0].endswith("again in 7 s")


def test_it_does_not_wait_for_an_hour(hub: Hub) -> None:
    hub.fault("GET", "/api/", status=429, headers={"Retry-After": "3600"})
    waits: list[float] = []
    with pytest.raises(HubBusy) as caught:
        asked(info, WHERE, wait=waits.append)
    assert waits == []
    assert "asks to wait 3600 s" in caught.value.fix


def test_it_is_not_asked_for_ever(hub: Hub) -> None:
    hub.fault("GET", "/api/", status=503, times=9)
    with pytest.raises(HubBusy, match="answers 503"):
        asked(info, WHERE, tries=3, wait=lambda _: None)
    assert len(hub.asked) == 3


def test_a_cut_connection_is_tried_again(hub: Hub) -> None:
    hub.repo(ID)
    hub.fault("GET", "/api/", cut=5)
    assert asked(info, WHERE, wait=lambda _: None)


def test_nobody_there_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", f"http://user:secret@127.0.0.1:{closed_port()}")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    error = refused()
    assert type(error) is HubAway
    assert "cannot be reached" in error.what
    assert "secret" not in str(error)


@pytest.mark.parametrize("text", ["hub.example.org:8080", "http://[::1", "https://", "ftp://hub"])
def test_what_is_no_address_is_said_before_anything_is_asked(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", text)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    assert refused().what == "HF_ENDPOINT is no address of a Hub"


def test_offline_asks_nobody(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert "offline mode is set" in refused().what
    assert hub.asked == []


def test_an_upload_that_may_not_be_is_said_as_any_other(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.repo(ID)
    hub.fault("PUT", "/lfs", status=403)
    add = CommitOperationAdd("model.safetensors", b"w")
    with pytest.raises(LlmopsError, match="does not allow"), speaking(WHERE):
        as_user().create_commit(ID, [add], commit_message="v1")
    monkeypatch.setenv("HF_TOKEN", READER)
    with pytest.raises(LlmopsError, match="rights to write"), speaking(WHERE):
        as_user().create_tag(ID, tag="v1")


def test_the_token_is_never_told(hub: Hub, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    echo = f'{{"error": "no: Authorization: Bearer {TOKEN}"}}'.encode()
    hub.fault("GET", "/api/", status=403, body=echo)
    error = refused()
    told = "".join(traceback.format_exception(error))
    assert "***" in error.what
    assert TOKEN not in told + str(error) + caplog.text


def test_what_leads_in_a_circle_is_said(hub: Hub) -> None:
    circle = {"Location": f"{hub.url}/api/models/{ID}"}
    hub.fault("GET", "/api/", status=302, headers=circle, times=99)
    assert "the Hub's client refuses" in refused().what


def test_what_is_no_hub_is_said(hub: Hub) -> None:
    hub.fault("GET", "/api/", status=200, body=b"<html>a proxy</html>")
    assert "the Hub's client refuses" in refused().what
