"""`kind: preferences` in plans and runs, and training recipes that read its snapshots. The log is
written by the real journal; nothing is trained."""

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from llmops.data.inspect import inspect_data
from llmops.errors import BadInput, Failed
from llmops.preferences.mark import Yields, mark
from llmops.preferences.snapshot import find_snapshot, snapshots
from llmops.runner.plan import Plan, describe, make_plan
from llmops.runner.progress import PlainReporter
from llmops.runner.stage import Context
from llmops.runner.start import start_run
from llmops.spec.recipe import DataFile
from llmops.spec.settings import load_settings
from llmops.stages.catalog import KINDS
from llmops.store.paths import ProjectPaths
from tests.conftest import Llmops
from tests.fast.copying_stage import tiny_model
from tests.fast.logged import write
from tests.fast.said import Said

PREFERENCES = """\
kind: preferences
deployment: town
builders: {votes: {}, thumbs: {}}
holdout: 0.2
min_pairs: 10
output: {preferences: town}
"""
DPO = """\
kind: train
stage: dpo
base: "path:base"
data: {train: ["preferences:town"], validation: ["preferences:town"]}
args: {max_steps: 3}
output: {model: town}
"""
PIPELINE = """\
name: round
stages:
  pairs: {recipe: preferences.yaml}
  dpo: {recipe: dpo.yaml}
"""


@pytest.fixture
def paths(project: Path) -> ProjectPaths:
    (project / "preferences.yaml").write_text(PREFERENCES, encoding="utf-8")
    (project / "dpo.yaml").write_text(DPO, encoding="utf-8")
    (project / "round.yaml").write_text(PIPELINE, encoding="utf-8")
    tiny_model(project / "base", "base")
    return ProjectPaths(project)


def voted(count: int = 40, start: int = 0) -> Said:
    said = Said()
    for number in range(start):
        said.ask(f"earlier {number}", "x")
    for number in range(start, start + count):
        prompt, user = f"prompt {number}", f"user {number}"
        said.vote(said.ask(prompt, "good", user), said.ask(prompt, "bad", user), "first", user)
        said.events[-1]["id"] = f"event of {prompt}"
    return said


def plan(target: str = "round.yaml", *overrides: str) -> Plan:
    context = Context(load_settings())
    return make_plan(Path(target), list(overrides), context=context, kinds=KINDS)


def run(target: str = "preferences.yaml", *overrides: str) -> list[str | None]:
    """The outputs of the stages that ran or were reused."""
    record = start_run(
        Path(target),
        list(overrides),
        context=Context(load_settings()),
        kinds=KINDS,
        reporter=PlainReporter(io.StringIO()),
    )
    return [stage.output for stage in record.stages]


def states(found: Plan) -> list[str]:
    return [stage.state for stage in found.stages]


def test_a_plan_says_what_the_log_yields_and_what_is_left_out(
    llmops: Llmops, paths: ProjectPaths
) -> None:
    said = voted()
    said.vote(said.ask("t", "a"), said.ask("t", "b"), "tie")
    write(paths, said.records)
    told = llmops("plan", "round.yaml")
    assert told.returncode == 0, told.stderr
    assert "+ pairs  40 pairs: 31 to train, 9 held out (40 votes)" in told.stdout
    assert "log: 41 choice; 41 raters" in told.stdout
    assert "left out 1 event: a tie (votes)" in told.stdout
    assert "data.train.0: from stage pairs" in told.stdout
    assert "dpo lora, the pairs of stage pairs, 3 steps" in told.stdout
    assert not paths.preferences.exists()


def test_a_run_makes_the_snapshot_and_a_later_plan_finds_it(paths: ProjectPaths) -> None:
    write(paths, voted().records)
    assert run() == ["preferences:town@1"]
    found = plan()
    assert states(found) == ["reuse", "run"]
    data = describe(found, Context(load_settings()))["stages"][1]["inputs"]
    assert data["data.train.0"]["id"] == "preferences:town@1"
    assert run() == ["preferences:town@1"]
    assert len(snapshots("town", paths)) == 1


def test_new_feedback_makes_the_next_snapshot(paths: ProjectPaths) -> None:
    write(paths, voted().records)
    run()
    write(paths, voted(10, start=100).records[100:], "town-2")
    found = plan("preferences.yaml")
    assert states(found) == ["run"]
    assert found.stages[0].reasons == ("rows: 40 in preferences:town@1 -> 50",)
    assert plan("preferences.yaml", "holdout=0.5").stages[0].reasons[:-1] == (
        "holdout: 0.2 -> 0.5",
    )
    run()
    assert find_snapshot("town", paths).counts == {"train": 39, "holdout": 11}


def test_feedback_that_changes_nothing_makes_no_snapshot(paths: ProjectPaths) -> None:
    said = voted()
    write(paths, said.records)
    run()
    said.say("comment", said.ask("c", "d"), text="hm")
    write(paths, said.records, "town-2")
    assert states(plan("preferences.yaml")) == ["reuse"]


def test_a_log_that_was_in_the_journal_is_read_once_and_remembered(paths: ProjectPaths) -> None:
    write(paths, voted().records)
    found = plan("preferences.yaml")
    recipe = found.stages[0].node.spec
    assert Yields(paths).get(recipe, mark(load_settings(), recipe)) is not None


def test_what_is_up_to_date_is_planned_without_database_or_polars(
    paths: ProjectPaths, project: Path
) -> None:
    from tests.fast.test_layers import loaded_by

    write(paths, voted().records)
    run()
    states(plan("preferences.yaml"))
    assert states(plan("preferences.yaml")) == ["reuse"]
    heavy = {"polars", "sqlalchemy", "alembic"}
    assert not loaded_by("plan", "preferences.yaml", cwd=project) & heavy
    with paths.database.open("ab") as file:
        file.truncate(paths.database.stat().st_size)
    write(paths, voted(1, start=200).records, "town-3")
    assert "sqlalchemy" in loaded_by("plan", "preferences.yaml", cwd=project)


def test_a_pinned_snapshot_stays(paths: ProjectPaths, project: Path) -> None:
    write(paths, voted().records)
    run()
    text = DPO.replace('"preferences:town"', '"preferences:town@1"')
    (project / "dpo.yaml").write_text(text, encoding="utf-8")
    write(paths, voted(10, start=100).records, "town-2")
    assert states(plan()) == ["run", "run"]
    assert plan().stages[1].inputs["data.train.0"].id == "preferences:town@1"


def test_training_reads_what_trains_and_validation_what_is_held_out(paths: ProjectPaths) -> None:
    write(paths, voted().records)
    run()
    payload = plan("dpo.yaml").stages[0].prepared.payload
    assert [(d.path.name, d.samples) for d in payload.train] == [("train.jsonl", 31)]
    assert [(d.path.name, d.samples) for d in payload.validation] == [("holdout.jsonl", 9)]
    assert payload.train[0].first_prompts == ()


def test_a_snapshot_is_read_as_a_file_of_its_content_would_be(
    paths: ProjectPaths, project: Path
) -> None:
    write(paths, voted().records)
    run()
    text = DPO.replace('["preferences:town"], v', "[{preferences: town, limit: 7}], v")
    (project / "dpo.yaml").write_text(text, encoding="utf-8")
    (found,) = plan("dpo.yaml").stages[0].prepared.payload.train
    file = DataFile(path=found.path.name, limit=7)
    inspected = inspect_data(file, found.path, wanted={"preference"})
    named = {"reference": "preferences:town@1", "snapshot": found.snapshot}
    assert found == replace(inspected, first_prompts=(), **named)


def test_the_same_pairs_train_once(paths: ProjectPaths) -> None:
    """A snapshot with more votes for the same pairs is the same training data."""
    said = voted()
    write(paths, said.records)
    run()
    before = plan("dpo.yaml").stages[0].prepared.parts
    said.vote(said.answers[0]["id"], said.answers[1]["id"], "first", "another")
    write(paths, said.records, "town-2")
    run()
    assert len(snapshots("town", paths)) == 2
    assert plan("dpo.yaml").stages[0].prepared.parts == before


def test_an_earlier_stage_fills_the_log(paths: ProjectPaths, project: Path) -> None:
    """What comes after a stage that has yet to run waits for it, even with an empty log."""
    recipe = DPO.replace(
        '["preferences:town"], validation: ["preferences:town"]', '["path:a.jsonl"]'
    )
    (project / "first.yaml").write_text(
        recipe.replace("stage: dpo", "stage: sft"), encoding="utf-8"
    )
    row = {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}
    (project / "a.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    stages = "  first: {recipe: first.yaml}\n  pairs: {recipe: preferences.yaml, after: [first]}\n"
    (project / "round.yaml").write_text(
        PIPELINE.replace("  pairs: {recipe: preferences.yaml}\n", stages), encoding="utf-8"
    )
    found = plan()
    assert states(found) == ["run", "pending", "pending"]
    assert "log is empty yet" in found.stages[1].prepared.summary
    assert not (project / ".llmops").exists()


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (Said(), "the feedback log is empty"),
        (voted(3), r"the log yields \d pairs to train on.* where at least 10"),
    ],
    ids=["empty", "few"],
)
def test_too_little_is_refused_before_anything_trains(
    paths: ProjectPaths, said: Said, words: str
) -> None:
    if said.records:
        write(paths, said.records)
    with pytest.raises(BadInput, match=words):
        plan()


def test_all_ties_are_refused_and_counted(llmops: Llmops, paths: ProjectPaths) -> None:
    said = Said()
    for number in range(20):
        said.vote(said.ask(f"p{number}", "a"), said.ask(f"p{number}", "b"), "tie", f"u{number}")
    write(paths, said.records)
    done = llmops("run", "round.yaml")
    assert done.returncode == 2
    assert done.stderr == (
        "error: preferences.yaml:3: builders: the log yields 0 pairs to train on, where at least "
        "10 are asked for (`min_pairs`)\n  -> left out: 20 events: a tie (votes)\n"
    )
    assert not paths.runs.exists()


def test_votes_that_contradict_each_other_are_refused_and_counted(paths: ProjectPaths) -> None:
    said = voted(12)
    for number in range(12):
        first, second = (said.answers[2 * number + n]["id"] for n in (0, 1))
        said.vote(first, second, "second", "somebody else")
    write(paths, said.records)
    with pytest.raises(BadInput, match="12 pairs: contradictory: as many raters for either side"):
        plan()


def test_an_unknown_deployment_is_told_with_the_nearest(paths: ProjectPaths) -> None:
    write(paths, voted().records)
    with pytest.raises(BadInput, match="holds nothing of deployment `towm`") as e:
        plan("preferences.yaml", "deployment=towm")
    assert "did you mean `town`?" in str(e.value)


def test_answers_without_any_feedback_are_refused(paths: ProjectPaths) -> None:
    write(paths, voted().answers)
    with pytest.raises(BadInput, match="nobody has rated anything"):
        plan()


def kto(project: Path, *thumbs: bool) -> None:
    said = Said()
    for number in range(20):
        said.thumb(said.ask(f"p{number}", "a"), thumbs[number % len(thumbs)], f"u{number}")
    write(ProjectPaths(project), said.records)
    text = PREFERENCES.replace("{votes: {}, thumbs: {}}", "{thumbs: {}}") + "layout: unpaired\n"
    (project / "preferences.yaml").write_text(text, encoding="utf-8")


@pytest.mark.parametrize(("up", "kind"), [(True, "good"), (False, "bad")])
def test_kto_needs_both_kinds(paths: ProjectPaths, project: Path, up: bool, kind: str) -> None:
    kto(project, up)
    with pytest.raises(BadInput, match=f"all 20 judged answers are {kind}: KTO needs both kinds"):
        plan()


def test_dpo_does_not_train_on_unpaired_answers(paths: ProjectPaths, project: Path) -> None:
    kto(project, True, False)
    run()
    assert "answers (10 good)" in plan("preferences.yaml").stages[0].prepared.summary
    with pytest.raises(BadInput, match="has the layout `kto`, which stage `dpo`") as caught:
        plan("dpo.yaml")
    assert "`layout: pairs` makes the other kind" in str(caught.value)
    assert states(plan("dpo.yaml", "stage=kto")) == ["run"]


def test_an_empty_hold_out_cannot_validate(paths: ProjectPaths, project: Path) -> None:
    write(paths, voted().records)
    run("preferences.yaml", "holdout=0")
    with pytest.raises(BadInput, match=r"data.validation.0.*holds nothing out"):
        plan("dpo.yaml")


def test_a_snapshot_that_was_changed_is_refused(paths: ProjectPaths) -> None:
    write(paths, voted().records)
    run()
    with find_snapshot("town", paths).train.open("a") as file:
        file.write("{}\n")
    with pytest.raises(Failed, match=r"train.jsonl is not what was written"):
        plan("dpo.yaml")


@pytest.mark.parametrize("key", ["layout: preference", "columns: {messages: m}"])
def test_a_snapshot_knows_its_own_layout(paths: ProjectPaths, project: Path, key: str) -> None:
    write(paths, voted().records)
    run()
    item: Any = f"[{{preferences: town, {key}}}]"
    text = DPO.replace('["preferences:town"], validation', f"{item}, validation")
    (project / "dpo.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(BadInput, match="has a meaning for files"):
        plan("dpo.yaml")


def test_a_snapshot_that_nobody_makes_is_told_at_its_key(paths: ProjectPaths) -> None:
    with pytest.raises(
        BadInput, match=r"dpo.yaml:4: data.train.0.*no snapshot of preferences:town"
    ):
        plan("dpo.yaml")
