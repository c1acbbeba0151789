"""`llmops models delete | gc | size`: what is needed stays, what goes leaves its number."""

import json
import os
import shutil
from pathlib import Path

import pytest
from filelock import FileLock, Timeout

from llmops.errors import BadInput, NotFound
from llmops.registry.deletion import bury, tombstone
from llmops.registry.manifest import Draft, Golden, Lineage, Manifest, VersionId
from llmops.registry.remote.outbox import Outbox
from llmops.registry.store import Registry
from llmops.registry.verification import checked
from llmops.runner.run_log import RunLog
from llmops.serving.state import BackendState
from llmops.serving.wanted import ask
from llmops.spec.settings import load_settings
from llmops.storage.deletion import delete
from llmops.storage.garbage import collect, garbage
from llmops.store.atomic import write_json
from llmops.store.paths import ProjectPaths
from tests.fast.job_queue import Queue
from tests.fast.models_command import Models
from tests.fast.models_on_disk import write_adapter, write_full
from tests.fast.served_state import serve
from tests.fast.town_project import make_town


@pytest.fixture
def registry(models: Models, project: Path) -> Registry:
    """town:v1 to v3; production is v1, candidate is v2."""
    return make_town(project)


def gone(registry: Registry, text: str, *, way_back: bool = True) -> int:
    settings = load_settings()
    return delete(text, registry, settings, why="old", by="ada", way_back=way_back).freed


def refused(registry: Registry, text: str) -> str:
    with pytest.raises(BadInput, match=f"{text} is needed") as caught:
        gone(registry, text)
    assert registry.resolve(text)
    return caught.value.what


def test_a_deleted_version_leaves_its_number_and_what_it_was(registry: Registry) -> None:
    before = registry.resolve("town:v3")
    assert gone(registry, "town:v3") > 0
    assert [one.number for one in registry.versions("town")] == [1, 2]
    assert os.listdir(registry.directory(before)) == ["deleted.json"]
    left = tombstone(before.id, registry.paths)
    assert left is not None
    assert (left.manifest, left.by, left.why) == (before, "ada", "old")
    source = registry.root / "source-3"
    assert registry.add(Draft(name="town", kind="full", stage="sft"), source).number == 4


def test_who_asks_for_a_deleted_version_is_told(registry: Registry) -> None:
    gone(registry, "town:v3")
    with pytest.raises(NotFound, match=r"town:v3 was deleted on .* by ada"):
        registry.resolve("town:v3")
    with pytest.raises(NotFound, match="was deleted"):
        gone(registry, "town:v3")


def test_the_evidence_about_a_deleted_version_is_still_told(
    registry: Registry, models: Models
) -> None:
    models("promote", "town:v3", "candidate", "--override", "hurry")
    registry.move("town", "candidate", 2, why="back")
    gone(registry, "town:v3", way_back=False)
    assert "to candidate: hurry" in models("evidence", "town:v3", "--json").stdout


def test_what_a_deleted_version_shows_of_texts_goes_too(registry: Registry) -> None:
    golden = Golden(text="a secret", prompt_ids=[1], completion_ids=[2], logprobs=[-1.0])
    draft = Draft(name="town", kind="full", stage="sft", golden=[golden])
    registry.add(draft, registry.root / "source-3")
    gone(registry, "town:v4")
    file = registry.paths.version("town", 4) / "deleted.json"
    assert "a secret" not in file.read_text()


def test_an_alias_keeps_its_version(registry: Registry) -> None:
    assert "town@production names it" in refused(registry, "town:v1")


def test_the_way_back_is_kept_unless_it_is_given_up(registry: Registry) -> None:
    registry.move("town", "candidate", 3, why="better")
    assert "a rollback of town@candidate leads to it" in refused(registry, "town:v2")
    assert gone(registry, "town:v2", way_back=False)


def test_children_keep_their_base_and_their_parent(registry: Registry) -> None:
    on = Draft(name="child", kind="adapter", stage="sft", base="town:v3")
    registry.add(on, write_adapter(registry.root / "a"))
    assert "child:v1 is an adapter on it" in refused(registry, "town:v3")
    gone(registry, "child:v1")
    of = Draft(name="child", kind="full", stage="sft", lineage=Lineage(parent="town:v3"))
    registry.add(of, registry.root / "source-3")
    assert "child:v2 was trained from it" in refused(registry, "town:v3")


def test_nothing_goes_while_an_adapter_on_it_comes(registry: Registry) -> None:
    def refuses(*_: object) -> None:
        with pytest.raises(Timeout):
            FileLock(registry.paths.lock("model-town"), timeout=0).acquire()

    on = Draft(name="child", kind="adapter", stage="sft", base="town:v3")
    registry.add(on, write_adapter(registry.root / "a"), refuses)
    assert refused(registry, "town:v3")


def test_what_is_served_stays(registry: Registry) -> None:
    serve(registry.root, backends={"town:v1": BackendState(url="", versions=["town:v3"])})
    assert "the running deployment `town` serves it" in refused(registry, "town:v3")


def test_what_somebody_asks_a_deployment_for_stays(registry: Registry) -> None:
    wish = ask(registry.paths.deployment("town"), ["town:v3"])
    assert "an evaluation asks the deployment `town` for it" in refused(registry, "town:v3")
    wish.close()
    assert gone(registry, "town:v3")


def test_what_a_deployment_declares_stays(registry: Registry) -> None:
    file = registry.root / "serving/town.yaml"
    file.write_text("name: town\nvariants:\n  only: {model: 'town:v3'}\n", encoding="utf-8")
    assert "serving/town.yaml:3: variants.only.model names it" in refused(registry, "town:v3")


def test_what_a_run_uses_stays_until_it_has_ended(registry: Registry) -> None:
    run = RunLog.begin(registry.paths, "sft", "sft.yaml", [], [])
    pinned = {"inputs": {"base": {"id": "town:v3", "digest": "0"}, "data": {"pending": "x"}}}
    write_json(run.paths.plan, {"stages": [{"output": None, **pinned}]})
    assert f"the run {run.record.id} uses it" in refused(registry, "town:v3")
    run.end("failed")
    assert gone(registry, "town:v3")


def test_what_a_queued_run_reads_stays(queue: Queue) -> None:
    run = queue.ask().id
    assert f"the queued run {run} reads it" in refused(queue.registry, "town:v3")


def test_what_waits_to_be_pushed_stays(registry: Registry) -> None:
    waits = Outbox(registry).put(registry.resolve("town:v3"), "acme/town")
    assert "a push to acme/town waits in the outbox" in refused(registry, "town:v3")
    Outbox(registry).drop(waits.id)
    assert gone(registry, "town:v3")


def cut_off(registry: Registry, *left: str) -> Path:
    """The directory of town:v3, whose deletion was cut off when these files were left."""
    manifest = registry.resolve("town:v3")
    folder = registry.directory(manifest)
    copy = shutil.copytree(folder, registry.root / "copy")
    bury(manifest, registry.paths, lambda: None, why="", by="")
    for name in left or os.listdir(copy):
        shutil.copy(copy / name, folder / name)
    return folder


def test_a_deletion_that_was_cut_off_is_finished(registry: Registry) -> None:
    folder = cut_off(registry, "config.json")
    assert registry.known("town:v3") is None
    assert gone(registry, "town:v3") > 0
    assert os.listdir(folder) == ["deleted.json"]


def test_gc_finishes_a_deletion_that_was_cut_off(registry: Registry, models: Models) -> None:
    folder = cut_off(registry, "config.json")
    assert models("gc").exit_code == 0
    assert os.listdir(folder) == ["deleted.json"]


def test_a_deletion_that_was_cut_off_at_its_beginning_did_not_happen(
    registry: Registry, models: Models
) -> None:
    """All the files are there: somebody may have given it an alias since."""
    folder = cut_off(registry)
    assert models("gc").exit_code == 0
    registry.verify(registry.resolve("town:v3"))
    assert not (folder / "deleted.json").exists()


def test_gc_keeps_the_record_of_a_deletion_that_was_finished_meanwhile(registry: Registry) -> None:
    version, settings = registry.resolve("town:v3").id, load_settings()
    cut_off(registry)
    found = garbage(registry, settings)
    gone(registry, "town:v3")
    collect(found, registry, settings, by="ada", why="gc")
    assert tombstone(version, registry.paths) is not None


def test_gc_passes_over_what_another_deleted_meanwhile(registry: Registry) -> None:
    for _ in range(2):
        registry.add(Draft(name="town", kind="full", stage="sft"), registry.root / "source-3")
    settings = load_settings()
    found = garbage(registry, settings, 1)
    gone(registry, "town:v4")
    went = collect(found, registry, settings, by="ada", why="gc")
    assert [one.version for one in went] == ["town:v3"]


def test_another_process_sees_that_a_version_is_gone(registry: Registry) -> None:
    other = Registry(ProjectPaths(registry.root))
    assert other.find("town", "none") is None
    gone(registry, "town:v3")
    assert [one.number for one in other.versions("town")] == [1, 2]
    assert other.last_of("town", "", "") is None


def test_a_version_that_goes_while_it_is_listed_is_not(registry: Registry) -> None:
    class Slow(Registry):
        def _read(self, version: VersionId) -> Manifest:
            if version.number == 3:
                gone(registry, "town:v3")
            return super()._read(version)

    assert [row.number for row in Slow(registry.paths).rows("town")] == [1, 2]


@pytest.mark.parametrize("when", [1, 5])
def test_verifying_all_passes_over_what_goes_meanwhile(registry: Registry, when: int) -> None:
    """While the first file of town:v1 is read, or the second of its own."""
    read: list[str] = []
    registry.move("town", "candidate", 1, why="")

    def progress(name: str, done: int, size: int) -> None:
        read.append(name)
        if len(read) == when:
            gone(registry, "town:v2", way_back=False)

    told = [(one.version, one.damage) for one in checked(registry, None, progress)]
    assert told == [("town:v1", []), ("town:v3", [])]


def test_the_newest_are_kept_and_what_they_need(registry: Registry, models: Models) -> None:
    """v1 is production, v2 candidate; v3 is the parent of v5."""
    for parent in (None, "town:v3"):
        draft = Draft(name="town", kind="full", stage="sft", lineage=Lineage(parent=parent))
        registry.add(draft, registry.root / "source-3")
    told = json.loads(models("gc", "--keep", 1, "--dry-run", "--json").stdout)
    assert [one["version"] for one in told["items"]] == ["town:v4"]
    assert [one.number for one in registry.versions("town")] == [1, 2, 3, 4, 5]
    assert "town:v4" in models("gc", "--keep", 1).stdout
    assert [one.number for one in registry.versions("town")] == [1, 2, 3, 5]


def test_children_go_before_their_parents(registry: Registry, models: Models) -> None:
    for parent in ("town:v3", "town:v4", None):
        draft = Draft(name="town", kind="full", stage="sft", lineage=Lineage(parent=parent))
        registry.add(draft, registry.root / "source-3")
    models("gc", "--keep", 1)
    assert [one.number for one in registry.versions("town")] == [1, 2, 6]


def test_versions_go_by_themselves_never(registry: Registry, models: Models) -> None:
    assert models("gc").stdout == "0 kB given back\n"
    assert len(registry.versions("town")) == 3


def test_copies_go_that_no_backend_loads(registry: Registry, models: Models) -> None:
    deployment = registry.paths.deployment("town")
    copy = write_full(deployment.copies / "town-v1-abc")
    serve(registry.root)
    assert json.loads(models("gc", "--json").stdout)["items"] == []
    deployment.state.unlink()
    with FileLock(deployment.lock):  # of a supervisor that has yet to say so
        assert json.loads(models("gc", "--json").stdout)["items"] == []
    assert copy.exists()
    assert json.loads(models("gc", "--json").stdout)["bytes"] > 0
    assert not copy.exists()


def test_a_pull_that_nobody_goes_on_with_goes(registry: Registry, models: Models) -> None:
    part = registry.paths.pulled("town", "abc") / "model.safetensors"
    part.parent.mkdir()
    part.write_bytes(b"part")
    assert json.loads(models("gc", "--json").stdout)["items"] == []
    for path in (part, part.parent):
        os.utime(path, (1e9, 1e9))
    with FileLock(registry.paths.lock("pull-town")):  # somebody goes on with it
        assert json.loads(models("gc", "--json").stdout)["items"] == []
    assert json.loads(models("gc", "--json").stdout)["bytes"] == 4
    assert not part.parent.exists()


def test_sizes_count_a_shared_file_once(registry: Registry, models: Models) -> None:
    first, second = (registry.paths.version("town", n) / "model.safetensors" for n in (1, 2))
    second.unlink()
    os.link(first, second)
    found = json.loads(models("size", "--json").stdout)["models"][0]
    one, two, three = (version["own"] for version in found["versions"])
    weights = first.stat().st_size
    assert {version["shared"] for version in found["versions"]} == {weights, 0}
    assert found["own"] == one + two + three + weights


def test_a_name_that_may_move_is_not_deleted(models: Models, registry: Registry) -> None:
    error = models("delete", "town@production").exception
    assert isinstance(error, BadInput)
    assert "not the name of one version" in error.what


def test_delete_tells_what_it_gave_back(models: Models, registry: Registry) -> None:
    done = models("delete", "town:v3", "--why", "old", "--json")
    assert json.loads(done.stdout)["version"] == "town:v3"
    left = tombstone(VersionId("town", 3), registry.paths)
    assert left is not None
    assert left.why == "old"


def test_show_tells_of_a_deleted_version(registry: Registry, models: Models) -> None:
    models("delete", "town:v3", "--why", "old")
    digest = json.loads(models("show", "town:v3", "--json").stdout)["manifest"]["digest"]
    text = models("show", "town:v3").stdout
    assert text.startswith("town:v3 was deleted on ")
    assert digest in text
