"""Versions pushed to the Hub. The far side is the tests' own Hub (tests/hub); the client is
huggingface_hub as it is."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from huggingface_hub import ModelCard, close_session

from llmops.errors import BadInput, Failed
from llmops.registry.hub.client import TRIES
from llmops.registry.hub.errors import HubAway
from llmops.registry.manifest import Draft
from llmops.registry.notes import Notes
from llmops.registry.remote.pull import pull
from llmops.registry.remote.push import TURNS, push
from llmops.spec.settings import Settings
from tests.fast.models_on_disk import write_full
from tests.fast.remote_machines import ID, add, machine
from tests.hub.server import Hub

WEIGHTS = "adapter_model.safetensors"
SOON = {"Retry-After": "0"}


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    close_session()


def test_a_version_is_a_tag_with_its_files_at_the_top(hub: Hub, tmp_path: Path) -> None:
    registry = machine(tmp_path)
    version = add(registry)
    assert push(version, ID, registry).new
    files = hub.repo(ID).files("v1")
    assert {n: f.content for n, f in files.items() if n in version.files} == {
        name: (registry.directory(version) / name).read_bytes() for name in version.files
    }
    assert json.loads(files["manifest.json"].content)["digest"] == version.digest


def test_it_is_private_unless_it_is_to_be_public(hub: Hub, tmp_path: Path) -> None:
    registry = machine(tmp_path)
    version = add(registry)
    push(version, ID, registry)
    assert hub.repo(ID).private
    push(version, "acme/open", registry, public=True)
    assert not hub.repo("acme/open").private
    with pytest.raises(BadInput, match="acme/open is public"):
        push(version, "acme/open", registry)


def test_only_what_is_missing_is_sent(hub: Hub, tmp_path: Path) -> None:
    registry = machine(tmp_path)
    version = add(registry)
    push(version, ID, registry)
    weights = version.files["adapter_model.safetensors"]
    size = (registry.directory(version) / "adapter_model.safetensors").stat().st_size
    assert hub.received == {weights: size}
    assert not push(version, ID, registry).new
    push(add(registry), ID, registry)  # the same weights as another version
    assert hub.received == {weights: size}
    assert set(hub.repo(ID).tags) == {"v1", "v2"}


def test_main_holds_the_newest_however_they_came(hub: Hub, tmp_path: Path) -> None:
    registry = machine(tmp_path)
    older, newer = add(registry), add(registry, 1)
    push(newer, ID, registry)
    push(older, ID, registry)
    repo = hub.repo(ID)
    weights = "adapter_model.safetensors"
    assert repo.file("main", weights).sha256 == newer.files[weights]
    assert repo.file("v1", weights).sha256 == older.files[weights]
    assert set(repo.branches) == {"main"}


def test_a_file_of_the_version_before_goes(hub: Hub, tmp_path: Path) -> None:
    registry = machine(tmp_path)
    push(registry.add(Draft(name="m", kind="full", stage="base"), many(tmp_path)), ID, registry)
    single = write_full(tmp_path / "single")
    push(registry.add(Draft(name="m", kind="full", stage="base"), single), ID, registry)
    assert "merges.txt" in hub.repo(ID).files("v1")
    assert "merges.txt" not in hub.repo(ID).files("v2")


def many(root: Path) -> Path:
    made = write_full(root / "many")
    (made / "merges.txt").write_text("a b\n")
    return made


def test_two_machines_lose_none_of_each_others_moves(hub: Hub, tmp_path: Path) -> None:
    one, other = machine(tmp_path / "one"), machine(tmp_path / "other")
    first = add(one)
    push(first, ID, one)
    add(other)
    second = add(other, 1)
    one.move("town", "production", 1, why="good", by="ann")
    other.move("town", "candidate", 2, why="try", by="bob")
    # The first has looked when the second comes in between: its commit is refused, and made anew.
    fault = hub.fault("POST", f"/api/models/{ID}/commit/main", status=412)
    push(first, ID, one)
    assert fault.met.is_set()
    pushed = push(second, ID, other)
    assert pushed.aliases == {"production": "town:v1", "candidate": "town:v2"}
    moves = hub.repo(ID).file("main", "registry/aliases.jsonl").content.splitlines()
    assert [json.loads(move)["by"] for move in moves] == ["ann", "bob"]


@pytest.mark.parametrize("tagged", [True, False])
def test_another_version_of_that_number_is_not_overwritten(
    hub: Hub, tmp_path: Path, tagged: bool
) -> None:
    """Not even one whose tag is yet to come."""
    one, other = machine(tmp_path / "one"), machine(tmp_path / "other")
    push(add(one), ID, one)
    before = dict(hub.repo(ID).branches), dict(hub.repo(ID).tags)
    if not tagged:
        hub.repo(ID).tags.clear()
    with pytest.raises(Failed, match=r"acme/town holds another town:v1") as caught:
        push(add(other, 1), ID, other)
    assert "llmops models add town" in caught.value.fix
    assert hub.repo(ID).branches == before[0]
    assert hub.repo(ID).tags == (before[1] if tagged else {})


def test_a_push_that_was_cut_off_before_its_tag_is_finished(hub: Hub, tmp_path: Path) -> None:
    registry = machine(tmp_path)
    version = add(registry)
    hub.fault("POST", f"/api/models/{ID}/tag", status=403)
    with pytest.raises(Failed, match="does not allow it"):
        push(version, ID, registry)
    received = dict(hub.received)
    assert push(version, ID, registry).new
    assert hub.received == received


def test_an_answer_that_was_lost_makes_no_second_commit(hub: Hub, tmp_path: Path) -> None:
    registry = machine(tmp_path)
    hub.repo(ID, private=True)
    hub.fault("POST", f"/api/models/{ID}/commit/main", cut=0, after=True)
    push(add(registry), ID, registry)
    assert hub.repo(ID).messages.count("town:v1") == 1


def test_no_branch_of_an_older_version_stays(hub: Hub, tmp_path: Path) -> None:
    here = machine(tmp_path)
    old, new = add(here), add(here, 2)
    push(new, ID, here)
    hub.fault("DELETE", "/branch/", status=403)
    with pytest.raises(Failed, match="does not allow it"):
        push(old, ID, here)
    assert not push(old, ID, here).new
    assert [*hub.repo(ID).branches] == ["main"]


def test_a_branch_that_went_without_an_answer_is_gone(hub: Hub, tmp_path: Path) -> None:
    here = machine(tmp_path)
    old, new = add(here), add(here, 2)
    push(new, ID, here)
    hub.fault("DELETE", "/branch/", cut=0, after=True)
    assert push(old, ID, here).new


def test_what_arrived_otherwise_is_not_tagged(hub: Hub, tmp_path: Path) -> None:
    registry = machine(tmp_path)
    version = add(registry)
    weights = version.files["adapter_model.safetensors"]
    hub.blobs[weights] = b"not what its name says"
    with pytest.raises(Failed, match=r"`adapter_model.safetensors` is not there as it was sent"):
        push(version, ID, registry)
    assert not hub.repo(ID).tags


def test_a_damaged_version_is_not_sent(hub: Hub, tmp_path: Path) -> None:
    """Its files are read once the Hub is known to be there: a push that waits is tried for days."""
    registry = machine(tmp_path)
    version = add(registry)
    file = registry.directory(version) / "adapter_model.safetensors"
    file.chmod(0o644)
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    hub.fault("GET", "/refs", status=429, headers={"Retry-After": "7000"})
    with pytest.raises(HubAway, match="answers 429"):
        push(version, ID, registry)
    with pytest.raises(Failed, match="has changed"):
        push(version, ID, registry)
    assert not hub.repos


def test_another_models_repository_is_refused(hub: Hub, tmp_path: Path) -> None:
    registry = machine(tmp_path)
    version = add(registry)
    push(version, ID, registry)
    full = registry.add(Draft(name="city", kind="full", stage="base"), write_full(tmp_path / "f"))
    with pytest.raises(BadInput, match="holds the model `town`, not `city`"):
        push(full, ID, registry)


def test_the_card_tells_where_the_aliases_stand_now(hub: Hub, tmp_path: Path) -> None:
    registry = machine(tmp_path)
    version = add(registry)
    push(version, ID, registry)
    registry.move("town", "production", 1, why="good", by="ann")
    push(version, ID, registry)
    card = hub.repo(ID).file("main", "README.md").content.decode()
    assert "| production | town:v1 |" in card
    assert ModelCard(card).data.base_model == "Org/Small"


def test_a_text_that_holds_other_ends_of_lines_is_one_record(hub: Hub, tmp_path: Path) -> None:
    here = machine(tmp_path)
    version = add(here)
    Notes(here.paths).note(version.id, "one\u2028two\x85three\x0cfour", by="ann")
    push(version, ID, here)
    there = hub.repo(ID).file("main", "registry/notes.jsonl").content
    assert there == here.paths.notes("town").read_bytes()
    other = machine(tmp_path / "other")
    pull("town", ID, other, Settings(root=other.root, cache=tmp_path))
    assert Notes(other.paths).of(version.id) == Notes(here.paths).of(version.id)


def test_many_that_push_at_once_bring_everything(hub: Hub, tmp_path: Path) -> None:
    """Each a version and a move of its own; all begin with the same look."""
    hub.repo(ID, private=True)
    machines = [machine(tmp_path / str(number)) for number in range(4)]
    for number, one in enumerate(machines, 1):
        for fill in range(1, number + 1):
            add(one, fill)
        one.move("town", f"alias{number}", number, why="", by=f"machine {number}")
    begin = threading.Barrier(len(machines))

    def send(number: int) -> None:
        begin.wait()
        push(machines[number - 1].resolve(f"town:v{number}"), ID, machines[number - 1])

    with ThreadPoolExecutor() as pool:
        list(pool.map(send, range(1, 5)))
    repo = hub.repo(ID)
    assert sorted(repo.tags) == ["v1", "v2", "v3", "v4"]
    newest = machines[-1].resolve("town:v4")
    assert repo.file("main", WEIGHTS).sha256 == newest.files[WEIGHTS]
    moves = repo.file("main", "registry/aliases.jsonl").content.splitlines()
    assert {json.loads(move)["alias"] for move in moves} == {f"alias{n}" for n in range(1, 5)}


@pytest.mark.parametrize(
    ("method", "path"),
    [("PUT", "/lfs/"), ("POST", "/preupload/"), ("POST", "/commit/"), ("POST", "/tag/")],
)
@pytest.mark.parametrize("status", [429, 500, 502])
def test_a_hub_that_is_busy_for_a_moment_is_asked_again(
    hub: Hub, tmp_path: Path, status: int, method: str, path: str
) -> None:
    registry = machine(tmp_path)
    fault = hub.fault(method, path, status=status, headers=SOON)
    push(add(registry, 1), ID, registry)
    assert fault.met.is_set()
    assert set(hub.repo(ID).tags) == {"v1"}


def test_a_hub_that_stays_busy_is_given_up(hub: Hub, tmp_path: Path) -> None:
    registry = machine(tmp_path)
    hub.fault("PUT", "/lfs/", status=502, headers=SOON, times=100)
    with pytest.raises(HubAway, match="answers 502"):
        push(add(registry, 1), ID, registry)
    assert hub.count("PUT /lfs/") == TRIES
    assert not hub.repo(ID).tags


def test_others_that_are_always_first_are_given_way(hub: Hub, tmp_path: Path) -> None:
    registry = machine(tmp_path)
    hub.fault("POST", "/commit/", status=412, times=100)
    with pytest.raises(Failed, match="others change acme/town all the time"):
        push(add(registry), ID, registry)
    assert hub.count(f"POST /api/models/{ID}/commit") == TURNS
