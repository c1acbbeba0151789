"""Hot-loading into one server: the room is kept, what is at work stays, what fails is taken off.

Asked of the tests' own program (vllm_wire.py), in this process.
"""

import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from llmops.errors import Failed
from llmops.serving.adapters import Adapters
from llmops.serving.copies import Copies
from llmops.serving.readiness import adapters_under_way, under_way
from llmops.serving.served import Served
from llmops.store.digest import Digests, sha256_file, sha256_tree
from llmops.store.paths import ProjectPaths
from tests.fast.models_on_disk import write_adapter, write_full
from tests.fast.vllm_wire import Handler, Models, UnixServer


@pytest.fixture
def models() -> Models:
    return Models("base", {})


@pytest.fixture
def client(tmp_path: Path, models: Models) -> Iterator[httpx.Client]:
    handler = type("Bound", (Handler,), {"models": models})
    server = UnixServer(str(tmp_path / "s"), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    transport = httpx.HTTPTransport(uds=str(tmp_path / "s"))
    with httpx.Client(base_url="http://localhost", transport=transport) as client:
        yield client
    server.shutdown()
    server.server_close()
    thread.join()


def tree(folder: Path) -> str:
    return sha256_tree({file.name: sha256_file(file) for file in folder.iterdir()})


@pytest.fixture
def versions(tmp_path: Path) -> list[Served]:
    full = write_full(tmp_path / "base")
    base = Served("base", "full", full, tree(full), None, (), None)
    folders = [write_adapter(tmp_path / f"a{n}", "base") for n in range(4)]
    return [
        Served(f"a:v{n}", "adapter", folder, tree(folder), None, (), None, 2, base)
        for n, folder in enumerate(folders)
    ]


@pytest.fixture
def adapters(project: Path) -> Adapters:
    paths = ProjectPaths(project)
    copies = Copies(paths.deployment("town"), Digests(paths))
    return Adapters(copies, lambda _client, _one: None, lambda _line: None, lambda: None)


def load(adapters: Adapters, client: httpx.Client, wanted: list[Served], room: int = 2) -> None:
    adapters.want(wanted)
    for one in adapters.missing:
        adapters.settle(client, one, room, lambda: True)


def test_what_was_unused_longest_makes_way(
    adapters: Adapters, client: httpx.Client, models: Models, versions: list[Served]
) -> None:
    load(adapters, client, versions[:2])
    adapters.touch(["a:v0"])
    load(adapters, client, [versions[2]])
    assert set(models.adapters) == set(adapters.loaded) == {"a:v0", "a:v2"}


def test_what_is_wanted_never_makes_way(
    adapters: Adapters, client: httpx.Client, models: Models, versions: list[Served]
) -> None:
    load(adapters, client, versions[:3])
    assert set(models.adapters) == {"a:v0", "a:v1", "a:v2"}


def test_what_is_at_work_does_not_make_way(
    adapters: Adapters, client: httpx.Client, models: Models, versions: list[Served]
) -> None:
    load(adapters, client, versions[:2])
    models.at_work = "a:v0"
    load(adapters, client, [versions[2]])
    assert set(models.adapters) == {"a:v0", "a:v2"}


def test_the_copy_of_what_made_way_is_removed(
    adapters: Adapters, client: httpx.Client, models: Models, versions: list[Served]
) -> None:
    load(adapters, client, [versions[0]], room=1)
    copy = models.adapters["a:v0"]
    load(adapters, client, [versions[1]], room=1)
    assert not copy.exists()
    assert models.adapters["a:v1"].is_dir()


def test_the_copy_of_what_is_not_listed_after_a_new_start_is_removed(
    project: Path,
    adapters: Adapters,
    client: httpx.Client,
    models: Models,
    versions: list[Served],
) -> None:
    load(adapters, client, versions[:2])
    gone, kept = models.adapters["a:v0"], models.adapters["a:v1"]
    adapters.listed_at_start({"a:v1": kept}, [versions[1]])
    assert not gone.exists()
    assert kept.is_dir()


def test_what_fails_is_taken_off_and_tried_again_when_it_is_wanted_anew(
    project: Path, client: httpx.Client, models: Models, versions: list[Served]
) -> None:
    checked: list[str] = []

    def check(_client: httpx.Client, one: Served) -> None:
        checked.append(one.name)
        raise Failed("it is something else")

    paths = ProjectPaths(project)
    copies = Copies(paths.deployment("town"), Digests(paths))
    adapters = Adapters(copies, check, lambda _line: None, lambda: None)
    for wanted in (versions[:1], versions[:1], [], versions[:1]):
        load(adapters, client, wanted)
    assert checked == ["a:v0", "a:v0"]
    assert models.adapters == {}
    assert adapters.problems["a:v0"].what == "it is something else"


def test_a_server_that_ended_is_not_the_versions_problem(
    adapters: Adapters, client: httpx.Client, versions: list[Served]
) -> None:
    broken = Served("a:v9", "adapter", versions[0].directory, "9" * 64, {"no": ""}, (), None, 2)
    adapters.want([broken])
    with pytest.raises((Failed, FileNotFoundError)):
        adapters.settle(client, broken, 2, lambda: False)
    assert adapters.problems == {}


def test_what_is_under_way_is_read_from_the_metrics(client: httpx.Client, models: Models) -> None:
    models.running, models.at_work = 3, "a:v1,a:v2"
    assert under_way(client) == 3
    assert adapters_under_way(client) == {"a:v1", "a:v2"}
