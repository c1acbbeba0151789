"""Pushes that wait for the Hub. The far side is the tests' own Hub (tests/hub); the client is
huggingface_hub as it is."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from huggingface_hub import close_session

from llmops.control.threads import send_outbox
from llmops.errors import Failed, NotFound
from llmops.registry.remote.outbox import Outbox, push_or_keep, send_all
from llmops.registry.remote.push import push
from llmops.registry.store import Registry
from llmops.spec.settings import Settings
from tests.fast.protocol_server import closed_port
from tests.fast.remote_machines import ID, add, machine
from tests.hub.server import TOKEN, Hub


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    close_session()


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    made = machine(tmp_path)
    add(made)
    return made


def pause(box: Outbox) -> float:
    """Seconds until the first is tried again."""
    due = box.waiting()[0].due
    assert due is not None
    return (datetime.fromisoformat(due) - datetime.now(UTC)).total_seconds()


def test_a_push_waits_while_the_hub_is_away_and_is_sent_when_it_is_back(
    hub: Hub, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    version, box = registry.resolve("town:v1"), Outbox(registry)
    with monkeypatch.context() as away:
        away.setenv("HF_ENDPOINT", f"http://127.0.0.1:{closed_port()}")
        with pytest.raises(Failed, match=r"cannot be reached.*town:v1 waits in the outbox"):
            [*push_or_keep([version], ID, registry)]
        box.send_due(pytest.fail)  # not due yet
        first = pause(box)
        with pytest.raises(Failed):
            send_all(box, None, lambda _: None)
        assert pause(box) > 1.5 * first > 0
    send_all(box, None, lambda _: None)
    assert box.waiting() == []
    assert "v1" in hub.repo(ID).tags


def test_of_many_all_that_did_not_go_wait(hub: Hub, registry: Registry) -> None:
    versions = [registry.resolve("town:v1"), *(add(registry, fill) for fill in (1, 2))]
    push(versions[0], ID, registry)
    hub.fault("POST", "/tag/", status=429, headers={"Retry-After": "7000"})
    with pytest.raises(Failed, match="town:v2 and 1 more wait in the outbox"):
        [*push_or_keep(versions, ID, registry)]
    assert [one.version for one in Outbox(registry).waiting()] == ["town:v2", "town:v3"]


def test_offline_it_waits_without_a_request(
    hub: Hub, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(Failed, match="offline mode is set; town:v1 waits"):
        [*push_or_keep([registry.resolve("town:v1")], ID, registry)]
    assert hub.asked == []


@pytest.mark.parametrize("status", [401, 403])
def test_what_the_hub_refuses_waits_for_a_person(hub: Hub, registry: Registry, status: int) -> None:
    hub.repo(ID, private=True)
    box = Outbox(registry)
    box.put(registry.resolve("town:v1"), ID)
    hub.fault("GET", f"/api/models/{ID}/refs", status=status)
    said: list[str] = []
    box.send_due(said.append)
    assert box.waiting()[0].due is None
    assert len(said) == 1
    assert TOKEN not in said[0] + box.waiting()[0].model_dump_json()
    asked = len(hub.asked)
    box.send_due(said.append)
    assert len(hub.asked) == asked


def test_a_hub_that_asks_to_wait_is_not_asked_before(hub: Hub, registry: Registry) -> None:
    hub.fault("GET", "/refs", status=429, headers={"Retry-After": "7000"})
    with pytest.raises(Failed, match="answers 429"):
        [*push_or_keep([registry.resolve("town:v1")], ID, registry)]
    assert len(hub.asked) == 1
    assert pause(Outbox(registry)) > 6000


def test_a_hub_that_is_away_for_months_is_asked_every_hour(registry: Registry) -> None:
    box = Outbox(registry)
    one = box.put(registry.resolve("town:v1"), ID)
    file = registry.paths.outbox / f"{one.id}.json"
    file.write_text(one.model_copy(update={"tries": 2000}).model_dump_json())
    with pytest.MonkeyPatch.context() as away:
        away.setenv("HF_HUB_OFFLINE", "1")
        box.send_due(lambda _: None)
    assert 3500 < pause(box) <= 3600


def test_no_hub_makes_a_push_wait_for_longer_than_a_day(hub: Hub, registry: Registry) -> None:
    hub.fault("GET", "/refs", status=429, headers={"Retry-After": "9" * 400})
    with pytest.raises(Failed, match="town:v1 waits in the outbox"):
        [*push_or_keep([registry.resolve("town:v1")], ID, registry)]
    assert 86_300 < pause(Outbox(registry)) <= 86_400


def test_what_is_dropped_while_it_is_sent_is_gone(hub: Hub, registry: Registry) -> None:
    box, gone = Outbox(registry), threading.Event()
    one = box.put(registry.resolve("town:v1"), ID)
    fault = hub.fault("GET", "/refs", status=403, until=gone)
    sender = threading.Thread(target=box.send_due, args=(lambda _: None,))
    sender.start()
    assert fault.met.wait(30)
    box.drop(one.id)
    gone.set()
    sender.join()
    assert box.waiting() == []


def test_the_same_push_waits_once_and_is_dropped_by_name(registry: Registry) -> None:
    box = Outbox(registry)
    one = box.put(registry.resolve("town:v1"), ID)
    assert box.put(registry.resolve("town:v1"), ID) == one.model_copy(
        update={"due": box.waiting()[0].due}
    )
    with pytest.raises(NotFound, match="no push `x` waits"):
        box.drop("x")
    box.drop(one.id)
    assert box.waiting() == []


def test_a_push_by_hand_leaves_nothing_waiting(hub: Hub, registry: Registry) -> None:
    """And looks at nothing else that waits, which may be much, or unreadable."""
    box, version = Outbox(registry), registry.resolve("town:v1")
    box.put(version, ID)
    other = registry.paths.outbox / "other-v1-12345678.json"
    other.write_text("{}")
    assert [done.new for done in push_or_keep([version], ID, registry)] == [True]
    assert [*registry.paths.outbox.iterdir()] == [other]


def test_control_sends_what_is_due(hub: Hub, registry: Registry) -> None:
    Outbox(registry).put(registry.resolve("town:v1"), ID)
    said: list[str] = []
    stop = threading.Event()

    def tell(text: str) -> None:
        said.append(text)
        stop.set()

    settings = Settings(root=registry.root, cache=registry.root)
    send_outbox(settings, stop, tell)
    assert said == [f"town:v1 was pushed to {ID}"]


def test_one_that_cannot_be_read_keeps_no_other_from_being_sent(
    hub: Hub, registry: Registry
) -> None:
    box = Outbox(registry)
    box.put(registry.resolve("town:v1"), ID)
    (registry.paths.outbox / "town-v0-torn.json").write_text("{")
    with pytest.raises(Failed, match="a push that waits cannot be read"):
        box.send_due(lambda _: None)
    assert "v1" in hub.repo(ID).tags
