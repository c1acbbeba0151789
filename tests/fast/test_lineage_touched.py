"""Which versions a file, an answer or a user's data went into, and where they stand."""

import json
import shutil
from pathlib import Path

import pytest
from sqlalchemy import delete

from llmops.errors import BadInput, NotFound
from llmops.feedback.erase import forget
from llmops.lineage.graph import Graph
from llmops.lineage.of_data import of_data
from llmops.lineage.of_log import of_inference, of_user
from llmops.lineage.project import Project
from llmops.lineage.uses import SnapshotEraser
from llmops.registry.deletion import bury
from llmops.registry.manifest import DataUsed, Draft, Lineage, VersionId
from llmops.registry.remote.seen import Seen, remember
from llmops.spec.settings import load_settings
from llmops.store.database import writing
from llmops.store.digest import sha256_file
from llmops.store.tables import feedback, inferences
from tests.conftest import Llmops
from tests.fast.logged import IDENTITY
from tests.fast.served_state import serve
from tests.fast.traced import Traced, traced


@pytest.fixture
def past(project: Path, monkeypatch: pytest.MonkeyPatch) -> Traced:
    monkeypatch.setenv("LLMOPS_SECRET", IDENTITY.secret.decode())
    return traced(project)


def opened() -> Project:
    return Project(load_settings())


def data(text: object) -> Graph:
    with opened() as project:
        return of_data(str(text), project)


def inference(text: str) -> Graph:
    with opened() as project:
        return of_inference(text, project)


def user(name: str) -> Graph:
    with opened() as project:
        return of_user(name, project)


def touched(graph: Graph) -> dict[str, str]:
    return {one.id: one.facts["touched"] for one in graph.nodes if "touched" in one.facts}


BOTH = {"town:v2": "directly", "town:v3": "through others"}
LAST = {"town:v3": "directly"}


def test_a_file_leads_to_what_was_trained_on_it_and_from_that(past: Traced) -> None:
    assert touched(data("a.jsonl")) == BOTH
    assert touched(data(past.root / "a.jsonl")) == BOTH


def test_a_file_that_changed_is_found_by_its_path_and_its_old_content(past: Traced) -> None:
    past.file("a.jsonl", "other\n")
    graph = data("a.jsonl")
    assert touched(graph) == BOTH
    (old,) = [one for one in graph.nodes if one.state == "changed"]
    assert [one.target for one in graph.out(old.id)] == ["town:v2"]


def test_a_copy_is_found_by_its_content_and_a_file_that_is_gone_by_its_path(past: Traced) -> None:
    shutil.move(past.root / "a.jsonl", past.root / "b.jsonl")
    assert touched(data("b.jsonl")) == BOTH
    assert touched(data("a.jsonl")) == BOTH


def test_a_file_of_a_snapshot_and_its_copy_lead_to_who_trained_on_it(past: Traced) -> None:
    folder = past.paths.snapshots("town") / "1"
    shutil.copy(folder / "train.jsonl", past.root / "copy.jsonl")
    for file in (folder / "train.jsonl", folder / "pairs.parquet", past.root / "copy.jsonl"):
        assert touched(data(file)) == LAST
    assert touched(data("preferences:town")) == LAST


def test_what_nobody_used_touches_nothing_and_what_is_nowhere_is_refused(past: Traced) -> None:
    past.file("new.jsonl", "new\n")
    assert touched(data("new.jsonl")) == {}
    with pytest.raises(NotFound, match="there is no file"):
        data("a.json")
    with pytest.raises(BadInput, match="is a directory"):
        data("recipes")


def test_rows_that_are_held_out_touch_nobody_who_only_trained(past: Traced) -> None:
    past.add("town:v1", [past.paths.snapshots("town") / "1" / "holdout.jsonl"])
    assert touched(data(past.paths.snapshots("town") / "1" / "train.jsonl")) == LAST


def test_what_a_version_was_validated_with_touches_it(past: Traced) -> None:
    held = past.file("held.jsonl", "held\n")
    past.add("town:v1", parts={"data.validation.0": sha256_file(held)})
    graph = data("held.jsonl")
    assert touched(graph) == {"town:v4": "directly"}
    assert [one.relation for one in graph.into("town:v4")] == ["validated with"]


def test_an_answer_leads_to_its_ratings_pairs_and_versions(past: Traced) -> None:
    answer, event = past.said.answers[0]["id"], past.said.events[0]["id"]
    graph = inference(f"chatcmpl-{answer}")
    assert touched(graph) == LAST
    assert touched(inference(event)) == LAST
    steps = {(one.source, one.relation, one.target): one.facts for one in graph.edges}
    assert steps[f"answer:{answer}", "rows in", "preferences:town@1"] == {"rows": 1}
    assert (f"answer:{answer}", "rated by", f"event:{event}") in steps
    assert ("town:v2", "answered", f"answer:{answer}") in steps


def test_a_snapshot_that_is_damaged_is_told_and_the_others_are_read(past: Traced) -> None:
    shutil.copytree(past.paths.snapshots("town") / "1", past.paths.snapshots("town") / "2")
    (past.paths.snapshots("town") / "2" / "snapshot.json").write_text("{")
    for graph in (inference(past.said.answers[0]["id"]), data("a.jsonl")):
        assert "town:v3" in touched(graph)
        (note,) = graph.notes
        assert "the snapshot is damaged" in note


def test_an_answer_that_nobody_knows_is_refused(past: Traced) -> None:
    with pytest.raises(NotFound, match="no answer and no event"):
        inference("v" * 40)


def test_an_answer_is_followed_without_the_log(past: Traced) -> None:
    for file in past.paths.state.glob("llmops.db*"):
        file.unlink()
    shutil.rmtree(past.paths.journal)
    assert touched(inference(past.said.answers[0]["id"])) == LAST
    with pytest.raises(NotFound, match="no snapshot of preferences knows"):
        inference("v" * 40)


def test_a_user_leads_to_the_versions_and_is_not_told(past: Traced, llmops: Llmops) -> None:
    assert touched(user("bob")) == LAST
    assert touched(user("eve")) == {}
    told = llmops("lineage", "--user", "bob", "--json").stdout
    assert json.loads(told)["nodes"][0]["facts"] == {"answers": 3, "events": 2, "about": 2,
                                                     "told": "3 answers, 2 events"}  # fmt: skip
    assert "bob" not in told
    assert IDENTITY.user("bob") not in told


@pytest.mark.parametrize("name", ["a\0b", "a" * 300, "~nobody-of-that-name/a"])
def test_what_can_be_no_file_is_not_there(past: Traced, name: str) -> None:
    with pytest.raises(NotFound, match="there is no file"):
        data(name)


def test_a_user_who_was_forgotten_still_leads_to_the_versions(past: Traced) -> None:
    with opened() as project:
        database = project.database
        assert database is not None
        forget("bob", past.paths, database, IDENTITY, SnapshotEraser(past.paths))
    graph = user("bob")
    assert touched(graph) == LAST
    assert graph["preferences:town@1"].state == "erased"
    past.add("town:v2", [past.paths.snapshots("town") / "1" / "train.jsonl"])
    assert touched(user("bob")) == LAST, "what trained after the erasure is not touched"


def test_who_was_forgotten_while_a_training_ran_touched_what_it_made(past: Traced) -> None:
    train = past.paths.snapshots("town") / "1" / "train.jsonl"
    before = DataUsed(path=str(train.relative_to(past.root)), sha256=sha256_file(train), samples=3)
    with opened() as project:
        assert project.database is not None
        forget("bob", past.paths, project.database, IDENTITY, SnapshotEraser(past.paths))
    made = Draft(name="late", kind="full", stage="dpo", lineage=Lineage(data=[before]))
    past.registry.add(made, past.root / ".made" / "0")
    assert touched(user("bob"))["late:v1"] == "directly"


def test_a_snapshot_that_cannot_be_read_is_told_when_the_log_has_nothing_left(
    past: Traced,
) -> None:
    with opened() as project:
        assert project.database is not None
        forget("bob", past.paths, project.database, IDENTITY, SnapshotEraser(past.paths))
        with writing(project.database) as connection:
            connection.execute(delete(feedback))
            connection.execute(delete(inferences))
    (past.paths.snapshots("town") / "1" / "snapshot.json").write_text("{")
    assert any("the snapshot is damaged" in note for note in user("bob").notes)


def test_where_touched_versions_stand_is_told(past: Traced) -> None:
    serve(past.root, variants={"control": "town:v3"})
    known = Seen(repository="acme/town", time="", versions={2: "c0ffee"}, moves=[])
    remember(known, "town", past.paths)
    steps = {(one.source, one.relation, one.target) for one in data("a.jsonl").edges}
    assert ("town:v3", "named by", "town@production") in steps
    assert ("town:v3", "served by", "deployment:town") in steps
    assert ("town:v2", "on the Hub as", "hub:acme/town@v2") in steps


def test_a_deleted_version_still_passes_on_what_touched_it(past: Traced) -> None:
    bury(past.registry.get(VersionId("town", 2)), past.paths, lambda: None, why="", by="mara")
    graph = data("a.jsonl")
    assert touched(graph) == BOTH
    assert graph["town:v2"].state == "deleted"


def test_a_version_with_the_same_files_is_touched_too(past: Traced) -> None:
    past.registry.add(Draft(name="copy", kind="full", stage="import"), past.root / ".made" / "1")
    assert touched(data("a.jsonl")) == BOTH | {"copy:v1": "through others"}


def test_one_thing_is_asked_at_a_time(past: Traced, llmops: Llmops) -> None:
    for given in ([], ["town:v1", "--data", "a.jsonl"]):
        assert "One thing at a time" in llmops("lineage", *given).stderr
    told = llmops("lineage", "--data", "a.jsonl").stdout
    assert "2 versions touched: 1 directly, 1 through others" in told
    assert "touched through others" in told
