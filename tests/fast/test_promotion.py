"""Moves by hand: on evidence, by override, and back; and the commands of runs that wait."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from llmops.cli.app import application
from llmops.cli.models import app
from llmops.errors import BadInput, Failed, GateRefused
from llmops.registry.evidence import NO_GATE, Evidence, EvidenceLog
from llmops.registry.manifest import VersionId
from llmops.registry.promotion import move_freely
from llmops.registry.store import Registry
from tests.conftest import Llmops
from tests.fast.town_project import make_town, rated, write_log

Models = Callable[..., Result]
RELEASE = 'name: p\nstages: {go: {promote: "town:v2", to: production, when: "experiment:town"}}\n'
MISSING = "correct: at least 0.7"


@pytest.fixture
def town(project: Path) -> Registry:
    return make_town(project)


@pytest.fixture
def models(town: Registry) -> Models:
    def call(*args: str) -> Result:
        return CliRunner().invoke(app, args)

    return call


def evidence(town: Registry, *, passed: bool, missing: str = MISSING, **changes: Any) -> None:
    """An evaluation of town:v2, unless said otherwise."""
    log = EvidenceLog(town.paths)
    piece = Evidence(
        id=f"evaluation-{len(log.of('town'))}",
        time=datetime.now(UTC).isoformat(timespec="milliseconds"),
        kind="evaluation",
        version="town:v2",
        passed=passed,
        summary="correct 0.61",
        missing=[] if passed else [missing],
        digest="d" * 64,
        file=".llmops/evaluations/e.json",
    )
    log.add(piece.model_copy(update=changes))


def tried(town: Registry, *, passed: bool = True, against: str = "town:v1", **changes: Any) -> None:
    """An experiment on town:v2."""
    told = {"id": "experiment-1", "kind": "experiment", "summary": "better", "against": against}
    evidence(town, passed=passed, **{**told, **changes})


def test_a_version_with_evidence_is_promoted(models: Models, town: Registry) -> None:
    tried(town)
    result = models("promote", "town@candidate", "production", "--why", "looks good")
    assert result.stdout == "town@production: town:v1 -> town:v2\n"
    move = town.history("town")[-1]
    assert (move.why, move.evidence) == ("looks good; better (experiment-1)", ["experiment-1"])
    assert "already names town:v2" in models("promote", "town:v2", "production").stderr


def test_figures_that_nobody_asked_anything_of_take_no_passed_gate_back(
    models: Models, town: Registry
) -> None:
    evidence(town, passed=True)
    evidence(town, passed=False, missing=NO_GATE)
    models("promote", "town:v2", "stable")
    assert town.history("town")[-1].why == "correct 0.61 (evaluation-0)"


def test_figures_alone_are_no_ground_to_move(models: Models, town: Registry) -> None:
    evidence(town, passed=False, missing=NO_GATE)
    assert NO_GATE in str(models("promote", "town:v2", "stable").exception)


@pytest.mark.parametrize(
    ("pieces", "message"),
    [
        ([], "there is no evidence about town:v2"),
        ([("town:v3", True)], "there is no evidence about town:v2"),
        ([("town:v2", False)], "correct: at least 0.7"),
        ([("town:v2", True), ("town:v2", False)], "correct: at least 0.7"),
    ],
)
def test_without_evidence_it_is_refused(
    models: Models, town: Registry, pieces: list[tuple[str, bool]], message: str
) -> None:
    for version, passed in pieces:
        evidence(town, passed=passed, version=version)
    refused = models("promote", "town:v2", "stable").exception
    assert isinstance(refused, GateRefused)
    assert message in str(refused)
    assert "stable" not in town.aliases("town")


def test_an_override_moves_and_is_kept(models: Models, town: Registry) -> None:
    evidence(town, passed=False)
    models("promote", "town:v2", "production", "--override", "the suite is wrong")
    assert town.aliases("town")["production"] == 2
    kept = EvidenceLog(town.paths).of("town", "town:v2")[-1]
    lacked = ["there is no experiment about town:v2", "correct: at least 0.7"]
    assert (kept.kind, kept.missing) == ("override", lacked)
    move = town.history("town")[-1]
    assert (move.why, move.evidence) == (f"override ({kept.id}): the suite is wrong", [kept.id])
    assert json.loads(models("list", "--json").stdout)[1]["overridden"] == ["production"]
    assert "production (override)" in models("show", "town:v2").stdout
    again = models("promote", "town:v2", "stable").exception
    assert isinstance(again, GateRefused)  # it was for one move


def test_an_override_needs_a_reason(models: Models, town: Registry) -> None:
    refused = models("promote", "town:v2", "production", "--override", " ")
    assert isinstance(refused.exception, BadInput)
    assert EvidenceLog(town.paths).of("town") == []


def test_an_override_that_nothing_needed_is_none(models: Models, town: Registry) -> None:
    tried(town)
    models("promote", "town:v2", "production", "--override", "hurry")
    assert [piece.kind for piece in EvidenceLog(town.paths).of("town")] == ["experiment"]


def test_rollback_goes_back_and_further_back_not_forth(models: Models, town: Registry) -> None:
    for number in (2, 3):
        town.move("town", "production", number, why="better")
    said = models("rollback", "town", "--why", "answers in French").stdout
    assert said == "town@production: town:v3 -> town:v2\n"
    assert town.history("town")[-1].why == "rollback from town:v3: answers in French"
    assert models("rollback", "town").stdout == "town@production: town:v2 -> town:v1\n"
    refused = models("rollback", "town").exception
    assert isinstance(refused, BadInput)
    assert "named nothing before town:v1" in refused.what


def test_after_a_rollback_a_new_version_can_be_rolled_back(models: Models, town: Registry) -> None:
    town.move("town", "production", 2, why="better")
    models("rollback", "town")
    town.move("town", "production", 3, why="better still")
    assert models("rollback", "town").stdout == "town@production: town:v3 -> town:v1\n"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("rollback", "town", "candidate"), "named nothing before town:v2"),
        (("rollback", "town", "stable"), "model `town` has no alias `stable`"),
        (("rollback", "city"), "there is no model `city`"),
        (("promote", "town:v9", "production"), "there is no version town:v9"),
        (("promote", "town:v2", "v3"), "cannot be an alias"),
        (("evidence", "city"), "there is no model `city`"),
        (("evidence", "town:v9"), "there is no version town:v9"),
    ],
)
def test_bad_input(models: Models, args: tuple[str, ...], message: str) -> None:
    refused = models(*args).exception
    assert isinstance(refused, BadInput)
    assert message in str(refused)


def test_evidence_is_listed_by_model_and_version(models: Models, town: Registry) -> None:
    evidence(town, passed=True)
    evidence(town, passed=False, version="town:v3")
    assert len(json.loads(models("evidence", "town", "--json").stdout)) == 2
    (only,) = json.loads(models("evidence", "town@candidate", "--json").stdout)
    assert (only["version"], only["passed"]) == ("town:v2", True)
    assert "correct 0.61" in models("evidence", "town").stdout
    assert "no evidence about town:v1" in models("evidence", "town:v1").stderr


def test_show_lists_the_evidence(models: Models, town: Registry) -> None:
    evidence(town, passed=False)
    text = models("show", "town:v2").stdout
    assert "evaluation failed: correct 0.61  .llmops/evaluations/e.json" in text
    assert json.loads(models("show", "town:v2", "--json").stdout)["evidence"][0]["passed"] is False


def test_a_refused_gate_is_exit_code_3(project: Path, town: Registry, llmops: Llmops) -> None:
    (project / "p.yaml").write_text(RELEASE, encoding="utf-8")
    write_log(project, rated(300, (0.8, 0.2)))
    done = llmops("run", "p.yaml")
    assert done.returncode == 3
    assert done.stderr.splitlines()[-2].startswith(
        "error: p.yaml:2: stages.go.when: town:v2 does not become production: thumbs: gain [-0."
    )
    assert "llmops models promote town:v2 production --override REASON" in done.stderr
    assert "go refused" in CliRunner().invoke(application(), ["runs", "list"]).stdout


def test_a_waiting_run_ends_well_and_goes_on(project: Path, town: Registry, llmops: Llmops) -> None:
    (project / "p.yaml").write_text(RELEASE, encoding="utf-8")
    waits = llmops("run", "p.yaml", "--wait-at-most", "0.1s")
    assert waits.returncode == 0
    assert waits.stdout == "go\twaiting\t\n"
    assert "ask again: llmops run --resume " in waits.stderr
    assert "no exposures yet" in CliRunner().invoke(application(), ["runs", "show"]).stdout
    write_log(project, rated(300, (0.2, 0.8)))
    done = llmops("run", "--resume", "last")
    assert done.stdout == "go\tdone\ttown:v2\n"


@pytest.mark.parametrize(
    "args",
    [(), ("p.yaml", "--resume", "last"), ("--resume", "last", "--force"), ("p.yaml", "a=1", "b")],
)
def test_a_run_is_of_a_target_or_resumed(project: Path, args: tuple[str, ...]) -> None:
    assert isinstance(CliRunner().invoke(application(), ["run", *args]).exception, BadInput)


def test_a_duration_is_checked(project: Path) -> None:
    result = CliRunner().invoke(application(), ["run", "p.yaml", "--wait-at-most", "soon"])
    assert "`soon` is not a duration" in str(result.exception)


@pytest.mark.parametrize(
    "args",
    [("alias", "town:v2", "production"), ("add", "town", "source-1", "--alias", "production")],
)
def test_what_moves_on_evidence_is_not_moved_without(
    models: Models, town: Registry, args: tuple[str, ...]
) -> None:
    refused = models(*args, *(["--no-engine-check"] if args[0] == "add" else [])).exception
    assert isinstance(refused, BadInput)
    assert "town@production moves on evidence (experiment)" in str(refused)
    assert town.aliases("town")["production"] == 1
    assert len(town.versions("town")) == 3


def test_the_first_production_needs_no_evidence(models: Models, town: Registry) -> None:
    town.paths.aliases("town").unlink()
    assert models("promote", "town:v3", "production").exit_code == 0
    assert models("promote", "town:v2", "production").exit_code != 0


def test_what_an_alias_needs_is_read_when_it_moves(models: Models, project: Path) -> None:
    (project / "llmops.toml").write_text("[aliases.town.production]\nneeds = []\n")
    assert models("promote", "town:v2", "production").exit_code == 0
    assert models("alias", "town:v1", "production").exit_code == 0


def test_a_damaged_version_is_not_promoted(models: Models, town: Registry) -> None:
    (town.directory(town.resolve("town:v2")) / "tokenizer.json").unlink()
    refused = models("promote", "town:v2", "production", "--override", "hurry").exception
    assert isinstance(refused, Failed)
    assert "town:v2 is damaged: `tokenizer.json` is missing" in str(refused)
    assert EvidenceLog(town.paths).of("town") == []


def test_a_version_whose_manifest_was_changed_is_not_promoted(
    models: Models, town: Registry
) -> None:
    file = town.directory(town.resolve("town:v2")) / "manifest.json"
    file.chmod(0o644)
    file.write_text(file.read_text().replace('"sft"', '"dpo"'))
    refused = models("promote", "town:v2", "production", "--override", "hurry").exception
    assert "`manifest.json` has changed" in str(refused)


def test_what_was_changed_since_it_was_last_read_is_read_again(
    models: Models, town: Registry
) -> None:
    models("promote", "town:v2", "production", "--override", "hurry")
    file = town.directory(town.resolve("town:v1")) / "tokenizer.json"
    file.chmod(0o644)
    file.write_text("{ }")
    assert "has changed" in str(models("rollback", "town").exception)


def test_evidence_from_before_a_rollback_moves_nothing_again(
    models: Models, town: Registry
) -> None:
    tried(town)
    models("promote", "town:v2", "production")
    models("rollback", "town", "--why", "answers in French")
    assert models("promote", "town:v2", "stable").exit_code == 0  # it is another alias's
    refused = str(models("promote", "town:v2", "production").exception)
    assert "from before the rollback from town:v2: answers in French" in refused
    tried(town, id="experiment-2")
    assert models("promote", "town:v2", "production").exit_code == 0


@pytest.mark.parametrize("gone", ["deleted", "damaged"])
def test_a_rollback_to_what_is_gone_says_what_to_do(
    models: Models, town: Registry, gone: str
) -> None:
    for number in (2, 3):
        town.move("town", "production", number, why="better")
    before = town.directory(town.resolve("town:v2"))
    (before / ("manifest.json" if gone == "deleted" else "config.json")).unlink()
    refused = models("rollback", "town").exception
    assert isinstance(refused, Failed)
    assert "cannot go back to town:v2" in str(refused)
    assert "`llmops models promote town:v1 production --override REASON`" in str(refused)
    assert town.aliases("town")["production"] == 3


def test_a_rollback_from_what_was_seen_leaves_what_came_since(
    models: Models, town: Registry
) -> None:
    town.move("town", "production", 2, why="better")
    town.move("town", "production", 3, why="meanwhile")
    refused = models("rollback", "town", "--from", "town:v2").exception
    assert "names town:v3 by now, not town:v2" in str(refused)
    assert models("rollback", "town", "--from", "town:v3").exit_code == 0


def test_evidence_of_no_time_is_damage(models: Models, town: Registry) -> None:
    tried(town)
    file = town.paths.evidence("town")
    file.write_text(file.read_text().replace("+00:00", ""))
    refused = models("promote", "town:v2", "production").exception
    assert isinstance(refused, Failed)
    assert "the record of the evidence is damaged" in str(refused)


def test_an_override_whose_move_never_came_changes_nothing(models: Models, town: Registry) -> None:
    """Killed between the two writes."""
    tried(town, id="override-1", kind="override", summary="to production: hurry")
    assert isinstance(models("promote", "town:v2", "production").exception, GateRefused)
    tried(town)
    assert models("promote", "town:v2", "production").exit_code == 0
    assert town.history("town")[-1].evidence == ["experiment-1"]


def test_of_two_promotions_at_once_the_second_looks_at_what_the_first_left(
    models: Models, town: Registry
) -> None:
    tried(town)
    with town.alias_log.held("town") as held:
        late = Thread(target=lambda: results.append(models("promote", "town:v2", "production")))
        results: list[Result] = []
        late.start()
        held.move("production", VersionId("town", 3), why="first", by="")
    late.join()
    assert "production names town:v3 now" in str(results[0].exception)


def test_an_alias_that_came_to_need_evidence_meanwhile_does_not_move_freely(
    town: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    town.paths.aliases("town").unlink()

    def held(name: str) -> Any:
        monkeypatch.undo()
        town.move(name, "production", 3, why="somebody was quicker")
        return town.alias_log.held(name)

    monkeypatch.setattr(town.alias_log, "held", held)
    with pytest.raises(BadInput, match="moves on evidence"):
        move_freely("town:v2", "production", town, why="", by="")
    assert town.aliases("town") == {"production": 3}


def test_a_disk_that_cannot_be_written_is_said(models: Models, town: Registry) -> None:
    tried(town)
    town.paths.locks.rename(town.paths.locks.with_name("away"))
    town.paths.locks.symlink_to("/sys")  # not even root makes a file there
    refused = models("promote", "town:v2", "production").exception
    assert isinstance(refused, Failed)
    assert "cannot be read or written" in str(refused)
    assert town.aliases("town")["production"] == 1
