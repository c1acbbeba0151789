"""Versions pulled from the Hub. The far side is the tests' own Hub (tests/hub); the client is
huggingface_hub as it is."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import close_session

from llmops.errors import BadInput, Failed, NotFound
from llmops.registry.evidence import Evidence, EvidenceLog
from llmops.registry.integrity import seal_of
from llmops.registry.manifest import Draft
from llmops.registry.remote.pull import Pulled, pull
from llmops.registry.remote.push import push
from llmops.registry.store import Registry
from llmops.spec.settings import HubSettings, Settings
from llmops.store.digest import sha256_tree
from tests.conftest import ROOT
from tests.fast.models_on_disk import write_full
from tests.fast.remote_machines import ID, add, add_base, machine
from tests.hub.server import Hub

WEIGHTS = "adapter_model.safetensors"


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    close_session()


@pytest.fixture
def pushed(hub: Hub, tmp_path: Path) -> Registry:
    """A machine that has pushed town:v1."""
    registry = machine(tmp_path / "one")
    push(add(registry, 1), ID, registry)
    return registry


@pytest.fixture
def here(tmp_path: Path) -> Registry:
    (tmp_path / "here").mkdir()
    return machine(tmp_path / "here")


def take(here: Registry, text: str = "town", **more: Any) -> Pulled:
    hub = more.pop("hub", HubSettings())
    settings = Settings(root=here.root, cache=here.root, hub=hub)
    return pull(text, more.pop("repository", ID), here, settings, **more)


def test_it_comes_under_its_number_as_it_was(pushed: Registry, here: Registry) -> None:
    assert take(here) == Pulled("town:v1", True, [])
    assert here.resolve("town:v1") == pushed.resolve("town:v1")
    here.verify(here.resolve("town:v1"))
    assert not take(here).new


def test_the_newest_unless_a_version_or_an_alias_is_named(pushed: Registry, here: Registry) -> None:
    pushed.move("town", "production", 1, why="", by="ann")
    push(add(pushed, 2), ID, pushed)
    assert take(here, "town").version == "town:v2"
    assert take(here, "town@production").version == "town:v1"


@pytest.mark.parametrize(
    ("text", "said"), [("town:v7", "town:v1"), ("town@prodution", "did you mean")]
)
def test_what_is_not_there_tells_what_is(
    pushed: Registry, here: Registry, text: str, said: str
) -> None:
    pushed.move("town", "production", 1, why="", by="ann")
    push(pushed.resolve("town:v1"), ID, pushed)
    with pytest.raises(NotFound) as caught:
        take(here, text)
    assert said in caught.value.fix


def test_another_version_of_that_number_stays(pushed: Registry, here: Registry) -> None:
    mine = add(here, 3)
    with pytest.raises(Failed, match="another town:v1 is registered here"):
        take(here)
    here.verify(mine)


def test_what_was_cut_off_goes_on_where_it_was(hub: Hub, pushed: Registry, here: Registry) -> None:
    hub.fault("GET", WEIGHTS, cut=100)
    hub.fault("GET", WEIGHTS, status=403)
    with pytest.raises(Failed, match="does not allow it"):
        take(here)
    assert not here.names()
    take(here)
    sha256 = pushed.resolve("town:v1").files[WEIGHTS]
    assert hub.sent[sha256] == len(hub.blobs[sha256])
    assert not [*here.paths.model("town").glob(".pull*")]


def test_what_is_damaged_on_its_way_is_thrown_away(
    hub: Hub, pushed: Registry, here: Registry
) -> None:
    hub.fault("GET", WEIGHTS, flip=True)
    with pytest.raises(Failed, match=f"`{WEIGHTS}` did not come as the Hub says"):
        take(here)
    assert not here.names()
    assert take(here).new


def edit(hub: Hub, **changes: Any) -> None:
    """Somebody changes the manifest of v1."""
    repo = hub.repo(ID)
    manifest = json.loads(repo.file("v1", "manifest.json").content) | changes
    manifest = manifest | {"seal": seal_of(manifest)} | changes
    repo.tags["v1"] = repo.add({"manifest.json": json.dumps(manifest).encode()})


def with_digest(files: dict[str, str]) -> dict[str, Any]:
    return {"files": files, "digest": sha256_tree(files)}


@pytest.mark.parametrize(
    "name", ["../../../escaped.json", "/tmp/escaped.json", "manifest.json", "run.py", "a.bin", ".x"]
)
def test_no_name_from_there_leads_out_of_the_version(
    hub: Hub, pushed: Registry, here: Registry, name: str
) -> None:
    files = pushed.resolve("town:v1").files | {name: "0" * 64}
    edit(hub, **with_digest(files))
    with pytest.raises(Failed, match="cannot be a file of town:v1"):
        take(here)
    assert not here.names()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"digest": "0" * 64}, "the manifest of town:v1 is not as it was registered"),
        ({"seal": "0" * 64}, "the manifest of town:v1 is not as it was registered"),
        ({"name": "other"}, "not that of town:v1, but of other:v1"),
        ({"number": 2}, "not that of town:v1, but of town:v2"),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(
    hub: Hub, pushed: Registry, here: Registry, changes: dict[str, Any], said: str
) -> None:
    edit(hub, **changes)
    with pytest.raises(Failed, match=said):
        take(here)


def test_what_does_not_fit_on_the_disk_is_said_before_anything_comes(
    hub: Hub, pushed: Registry, here: Registry
) -> None:
    entry = {"type": "file", "path": WEIGHTS, "oid": "a" * 40, "size": 10**18}
    others = [
        {**entry, "path": name, "size": 9} for name in ("manifest.json", "adapter_config.json")
    ]
    body = json.dumps([entry, *others]).encode()
    hub.fault("GET", f"/tree/{hub.repo(ID).tags['v1']}", status=200, body=body, times=9)
    with pytest.raises(Failed, match=r"town:v1 needs .* of disk, .* are free"):
        take(here)
    assert not any(one.startswith("GET") and WEIGHTS in one for one in hub.asked)


def test_what_no_version_may_hold_is_refused(hub: Hub, pushed: Registry, here: Registry) -> None:
    """By the rules of a registration: a file more than the model has, and weights that are none."""
    repo = hub.repo(ID)
    repo.tags["v1"] = repo.add({"training.json": b"{}"})
    files = pushed.resolve("town:v1").files | {"training.json": sha256(b"{}")}
    edit(hub, **with_digest(files))
    with pytest.raises(Failed, match="not what its manifest says of town:v1"):
        take(here)
    assert not here.names()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_the_base_of_an_adapter_comes_first(hub: Hub, tmp_path: Path, here: Registry) -> None:
    one = machine(tmp_path / "one")
    base = add_base(one)
    version = add(one, 1, str(base.id))
    push(base, "acme/city", one)
    push(version, ID, one)
    with pytest.raises(BadInput, match=r"town:v1 is an adapter on city:v1, which is not here"):
        take(here)
    said: list[str] = []
    take(here, hub=HubSettings(organization="acme"), say=said.append)
    assert said == ["its base city:v1 comes first, from acme/city"]
    assert here.names() == ["city", "town"]


def test_an_adapter_that_is_its_own_base_is_refused(
    hub: Hub, pushed: Registry, here: Registry
) -> None:
    edit(hub, base="town:v1")
    with pytest.raises(Failed, match="town:v1 is an adapter; the base of an adapter is"):
        take(here, hub=HubSettings(organization="acme"))
    assert not here.names()


def test_what_another_process_brings_meanwhile_is_not_brought_again(
    hub: Hub, tmp_path: Path, here: Registry
) -> None:
    """It comes while this one asks for the base."""
    one = machine(tmp_path / "one")
    base = add_base(one)
    version = add(one, 1, str(base.id))
    push(base, "acme/city", one)
    push(version, ID, one)
    settings = HubSettings(organization="acme")

    def other(_: str) -> None:
        take(here, hub=settings)

    assert take(here, hub=settings, say=other) == Pulled("town:v1", False, [])
    sha256 = version.files[WEIGHTS]
    assert hub.sent[sha256] == len(hub.blobs[sha256])


def test_a_base_that_does_not_come_along_is_named(hub: Hub, tmp_path: Path, here: Registry) -> None:
    one = machine(tmp_path / "one")
    said: list[str] = []
    push(add(one, 1, "path:/models/small"), ID, one, say=said.append)
    take(here, say=said.append)
    assert ["path:/models/small" in text for text in said] == [True, False, True]


def test_a_model_that_names_code_of_its_own_is_told(
    hub: Hub, tmp_path: Path, here: Registry
) -> None:
    one = machine(tmp_path / "one")
    config = write_full(one.root / "base") / "config.json"
    config.write_text('{"auto_map": {"AutoModel": "evil/repo--code.Model"}}')
    draft = Draft(name="city", kind="full", stage="base")
    push(one.add(draft, config.parent), "acme/city", one)
    said: list[str] = []
    take(here, "city", repository="acme/city", say=said.append)
    assert "code of its own" in said[0]


def test_aliases_move_here_only_on_demand(hub: Hub, pushed: Registry, here: Registry) -> None:
    pushed.move("town", "production", 1, why="good", by="ann")
    push(pushed.resolve("town:v1"), ID, pushed)
    assert take(here).aliases == ["production"]
    assert here.aliases("town") == {}
    take(here, aliases=True)
    assert [(m.alias, m.version, m.by) for m in here.history("town")] == [
        ("production", "town:v1", f"pull {ID}")
    ]
    # Such a move decided nothing: it does not go back.
    push(here.resolve("town:v1"), ID, here)
    moves = hub.repo(ID).file("main", "registry/aliases.jsonl").content
    assert moves.count(b"\n") == 1


@pytest.mark.parametrize("line", [b"rubbish", b"[]", b"[" * 100_000], ids=["text", "list", "deep"])
def test_a_damaged_log_of_aliases_is_told(
    hub: Hub, pushed: Registry, here: Registry, line: bytes
) -> None:
    hub.repo(ID).add({"registry/aliases.jsonl": line + b"\n"})
    with pytest.raises(Failed, match="a record in the model's repository is damaged"):
        take(here)


@pytest.mark.parametrize("named", ["other:v1", "rubbish"])
def test_an_alias_of_what_is_no_version_of_the_model_brings_none(
    hub: Hub, pushed: Registry, here: Registry, named: str
) -> None:
    move = json.dumps({"alias": "production", "version": named})
    hub.repo(ID).add({"registry/aliases.jsonl": f"{move}\n".encode()})
    with pytest.raises(NotFound, match=f"town@production is {named}, which was not pushed"):
        take(here, "town@production")


def test_what_was_measured_comes_along_once(pushed: Registry, here: Registry) -> None:
    EvidenceLog(pushed.paths).add(piece("e1", "town:v1", "2026-01-01"))
    EvidenceLog(pushed.paths).add(piece("e2", "town:v2", "2026-01-02"))
    push(pushed.resolve("town:v1"), ID, pushed)
    EvidenceLog(here.paths).add(piece("e3", "town:v1", "2026-01-03"))
    take(here)
    take(here)
    assert [one.id for one in EvidenceLog(here.paths).of("town")] == ["e1", "e3"]


@pytest.mark.parametrize(
    "time", ["soon", "2026-01-01", "2026-01-01T00:00Z", "2026-02-31T00:00+00:00"]
)
def test_evidence_of_no_time_stays_there(pushed: Registry, here: Registry, time: str) -> None:
    """A promotion asks how old it is; it is read for ever once it is here."""
    forged = piece("e1", "town:v1", "2026-01-01").model_copy(update={"time": time})
    EvidenceLog(pushed.paths).add(forged)
    push(pushed.resolve("town:v1"), ID, pushed)
    take(here)
    assert EvidenceLog(here.paths).of("town") == []


def piece(id: str, version: str, day: str) -> Evidence:
    time = f"{day}T00:00:00+00:00"
    return Evidence(
        id=id, version=version, time=time, kind="evaluation", passed=True, summary="", digest="0"
    )


def test_a_kill_before_anything_has_its_name_leaves_the_version_whole_or_absent(
    pushed: Registry, tmp_path: Path
) -> None:
    argv = [sys.executable, "-m", "tests.fast.killed_pull", str(tmp_path)]
    done = subprocess.run(argv, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 5  # three files, their directory, what was seen
