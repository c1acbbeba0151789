"""The control API's routes for versions: what is said of them, deleting, space, the outbox."""

from collections.abc import Iterator

import pytest
from filelock import FileLock

from llmops.registry.manifest import Draft
from llmops.registry.store import Registry
from llmops.store.digest import sha256_text
from tests.fast.control_process import ControlProcess, controlled

TOWN = "/models/town/versions"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlProcess]:
    with controlled(tmp_path_factory, "--no-scheduler", "--no-ingest") as process:
        yield process


def test_tags_are_set_and_removed(running: ControlProcess) -> None:
    at = f"{TOWN}/2/tags"
    assert running.post(at, {"set": {"reviewed": "", "language": "fr"}}).status_code == 200
    told = running.post(at, {"remove": ["reviewed"]}).json()
    assert told == {"version": "town:v2", "tags": {"language": "fr"}}
    assert running.get(f"{TOWN}/2").json()["tags"] == {"language": "fr"}
    assert running.post(at, {"set": {"a=b": "c"}}).status_code == 400


def test_a_rollback_says_whether_it_is_not_there_or_not_in_this_state(
    running: ControlProcess,
) -> None:
    registry = Registry(running.paths)
    for number in (1, 2):
        registry.move("town", "canary", number, why="a test")
    for asked, status in (
        ({"alias": "nobody"}, 404),
        ({"alias": "canary", "leaving": "town:v1"}, 409),
        ({"alias": "canary", "leaving": "town:v2"}, 200),
        ({"alias": "canary"}, 409),
    ):
        assert running.post("/models/town/rollback", asked).status_code == status


def test_a_note_that_is_sent_twice_is_one(running: ControlProcess) -> None:
    for _ in range(2):
        key = {"idempotency-key": "noted"}
        assert running.post(f"{TOWN}/2/notes", {"text": "in French"}, headers=key).is_success
    notes = [one["text"] for one in running.get(f"{TOWN}/2").json()["notes"]]
    assert notes.count("in French") == 1


def test_two_versions_are_compared(running: ControlProcess) -> None:
    told = running.get(f"{TOWN}/2/diff?against=town:v1").json()
    assert (told["a"], told["b"]) == ("town:v1", "town:v2")
    assert "kind" in str(told["differences"])


def test_what_an_alias_named_is_told(running: ControlProcess) -> None:
    Registry(running.paths).move("town", "anchor", 1, why="a test")
    asked = {"alias": "anchor", "time": "2020-01-01T00:00Z"}
    assert running.get("/models/town/at", params=asked).json()["version"] is None
    assert running.get("/models/town/at", params=asked | {"time": "then"}).status_code == 400


def test_a_version_goes_once_nothing_needs_it(running: ControlProcess) -> None:
    registry = Registry(running.paths)
    source = running.root / ".made" / "full"
    registry.add(Draft(name="spare", kind="full", stage="sft"), source)
    registry.move("spare", "anchor", 1, why="a test")
    at = "/models/spare/versions/1"
    assert [one["what"] for one in running.get(f"{at}/needs").json()["items"]] == [
        "spare@anchor names it"
    ]
    refused = running.post(f"{at}/delete", {})
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
    registry.add(Draft(name="spare", kind="full", stage="sft"), source)
    registry.move("spare", "anchor", 2, why="a test")
    for key in ({"idempotency-key": "gone"},) * 2:
        done = running.post(f"{at}/delete", {"why": "old", "way_back": False}, headers=key)
        assert done.json()["freed"] > 0
    assert "was deleted" in running.get(at).json()["detail"]


def test_space_is_told_and_given_back(running: ControlProcess) -> None:
    part = running.paths.deployment("town").copies / "town-v1-x"
    part.mkdir(parents=True)
    (part / "file").write_bytes(b"copy")
    found = running.get("/storage").json()
    assert "town" in [one["name"] for one in found["models"]]
    assert [one["size"] for one in found["garbage"]] == [4]
    assert [one["size"] for one in running.post("/storage/gc", {}).json()["items"]] == [4]
    assert not part.exists()


def test_a_push_waits_in_the_outbox(running: ControlProcess) -> None:
    """While another process holds it, this one does not send it."""
    asked = {"version": "v2", "repository": "acme/town"}
    id = f"town-v2-{sha256_text('acme/town')[:8]}"
    with FileLock(running.paths.lock(f"outbox-{id}")):
        made = running.post("/models/town/push", asked)
        (one,) = made.json()["items"]
        assert (made.status_code, one["id"], one["version"]) == (202, id, "town:v2")
        assert [each["id"] for each in running.get("/outbox").json()["items"]] == [id]
        assert running.post(f"/outbox/{id}/drop").status_code == 200
        assert running.get("/outbox").json()["items"] == []
    assert running.post("/models/town/push", {}).status_code == 400
