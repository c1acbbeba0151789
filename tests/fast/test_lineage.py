"""What a version was made of, and what came of it: to the ends, and with what is not there."""

import json
import shutil
from pathlib import Path

import pytest

from llmops.errors import NotFound
from llmops.lineage.graph import KINDS, STATES, Graph
from llmops.lineage.of_version import of_version
from llmops.lineage.project import Project
from llmops.lineage.text import lines
from llmops.registry.deletion import bury
from llmops.registry.evidence import Evidence, EvidenceLog
from llmops.registry.manifest import VersionId
from llmops.spec.settings import load_settings
from llmops.store.digest import sha256_file
from tests.conftest import Llmops
from tests.fast.traced import Traced, traced


@pytest.fixture
def past(project: Path) -> Traced:
    return traced(project)


def asked(text: str = "town:v3", *, full: bool = False) -> Graph:
    with Project(load_settings()) as project:
        return of_version(text, project, full=full)


def steps(graph: Graph) -> set[tuple[str, str, str]]:
    return {(one.source, one.relation, one.target) for one in graph.edges}


def test_a_version_leads_to_its_data_pairs_and_feedback(past: Traced) -> None:
    found = steps(asked("town@production"))
    assert ("preferences:town@1", "trained on", "town:v3") in found
    assert ("pairs:town@1/votes", "rows of", "preferences:town@1") in found
    assert ("events:town@1/choice", "decided", "pairs:town@1/votes") in found
    assert ("answers:town@1/town:v2", "compared", "pairs:town@1/votes") in found
    assert ("town:v2", "trained from", "town:v3") in found
    assert ("town:v1", "trained from", "town:v2") in found


def test_feedback_is_counted_and_its_ids_are_told_on_request(past: Traced) -> None:
    events = "events:town@1/choice"
    assert asked()[events].facts == {"kind": "choice", "count": 2}
    votes = [one["id"] for one in past.said.events if one["kind"] == "choice"]
    assert asked(full=True)[events].facts["ids"] == sorted(votes)


def test_what_a_version_was_validated_with_is_told_by_its_content(past: Traced) -> None:
    folder = past.paths.snapshots("town") / "1"
    files = [past.file("b.jsonl", "held\n"), folder / "holdout.jsonl"]
    parts = {f"data.validation.{i}": sha256_file(file) for i, file in enumerate(files)}
    parts["data.validation.0.layout"] = "text"
    resolved = {"data": {"validation": ["path:../b.jsonl", {"preferences": "town"}]}}
    past.add("town:v1", parts=parts, recipe="recipes/sft.yaml", resolved=resolved)
    found = {(one.source.partition("#")[0], one.relation) for one in asked("town:v4").edges}
    assert ("data:b.jsonl", "validated with") in found
    assert ("preferences:town@1", "validated with") in found


def test_a_file_that_changed_since_is_told_with_its_digest(past: Traced) -> None:
    (node,) = [one for one in asked().nodes if one.kind == "data"]
    assert node.state == ""
    past.file("a.jsonl", "other\n")
    (node,) = [one for one in asked().nodes if one.kind == "data"]
    assert (node.state, len(node.facts["sha256_now"])) == ("changed", 64)


def test_what_is_not_there_is_told_as_missing(past: Traced) -> None:
    (past.root / "a.jsonl").unlink()
    (past.root / "recipes/sft.yaml").unlink()
    shutil.rmtree(past.paths.preferences)
    shutil.rmtree(past.paths.version("town", 1))
    graph = asked()
    gone = {one.kind for one in graph.nodes if one.state == "missing"}
    assert gone == {"data", "recipe", "run", "preferences", "version"}
    assert sum("[MISSING]" in line for line in lines(graph, drawn=False)) == 5


def test_a_deleted_version_stays_in_the_graph(past: Traced) -> None:
    manifest = past.registry.get(VersionId("town", 2))
    bury(manifest, past.paths, lambda: None, why="", by="mara")
    assert asked()["town:v2"].state == "deleted"
    assert ("town:v1", "trained from", "town:v2") in steps(asked())
    assert asked("town:v2").about == ["town:v2"]


def test_what_changed_in_a_recipe_since_is_told(past: Traced) -> None:
    recipe = past.root / "recipes/sft.yaml"
    assert asked()["recipe:recipes/sft.yaml"].state == ""
    recipe.write_text(recipe.read_text().replace("seed: 1", "seed: 2"))
    graph = asked()
    assert graph["recipe:recipes/sft.yaml"].state == "changed"
    assert "  args.seed: 1 -> 2" in [line[2:] for line in lines(graph, drawn=False)]


def test_aliases_now_and_before_and_children_are_told(past: Traced) -> None:
    graph = asked("town:v2")
    assert ("town:v2", "was named by", "town@production") in steps(graph)
    assert ("town:v2", "trained from", "town:v3") in steps(graph)
    assert ("town:v3", "named by", "town@production") in steps(asked())


def test_evidence_whose_report_is_gone_is_told(past: Traced) -> None:
    when = "2026-01-01T00:00:00+00:00"
    piece = Evidence(id="evidence:town:v3/x", time=when, kind="evaluation", digest="d",
                     version="town:v3", passed=True, summary="good", file="x.json")  # fmt: skip
    EvidenceLog(past.paths).add(piece)
    assert asked()["evidence:town:v3/x"].state == "missing"


def test_the_log_may_be_away(past: Traced) -> None:
    (past.paths.state / "llmops.db").write_text("no database, but long enough to be taken for one")
    graph = asked()
    assert graph["events:town@1/gone"].facts == {"count": 3}
    assert [note for note in graph.notes if "kinds of events" in note]


def test_thirty_two_generations_and_a_circle_have_an_end(past: Traced) -> None:
    for number in range(3, 36):
        past.add(f"town:v{number}")
    past.add("town:v99", name="odd")
    past.add("odd:v1")
    graph = asked("town:v36")
    assert sum(one.kind == "version" for one in graph.nodes) == 36
    manifest = past.paths.version("odd", 1) / "manifest.json"
    manifest.chmod(0o644)
    manifest.write_text(manifest.read_text().replace("town:v99", "town:v37"))
    assert len(asked("odd:v1").edges) == len(asked("town:v37").edges)


def test_of_many_children_some_are_told_and_the_others_are_counted(past: Traced) -> None:
    for _ in range(25):
        past.add("town:v3")
    told = lines(asked(), drawn=True)
    assert sum("trained from it" in line for line in told) == 20
    assert "└─ ... and 5 more; --json has all" in told


def test_kinds_and_states_are_those_that_are_documented(past: Traced) -> None:
    graph = asked()
    assert {one.kind for one in graph.nodes} <= KINDS.keys()
    assert {one.state for one in graph.nodes} <= {"", *STATES}


def test_a_version_that_never_was_is_refused(past: Traced) -> None:
    with pytest.raises(NotFound, match="there is no version town:v9"):
        asked("town:v9")


def test_the_command_prints_a_tree_or_json(past: Traced, llmops: Llmops) -> None:
    told = llmops("lineage", "town:v3")
    assert told.returncode == 0, told.stderr
    assert "  trained on preferences:town@1 (9 samples)" in told.stdout
    found = json.loads(llmops("lineage", "town:v3", "--json").stdout)
    assert found["about"] == ["town:v3"]
    assert {"from": "town:v2", "to": "town:v3", "relation": "trained from", "facts": {}} in (
        found["edges"]
    )
