"""`kind: simulate` as planned: what it would visit, and when it has done so already."""

from collections import Counter
from pathlib import Path

import pytest

from llmops.errors import BadInput, Failed
from llmops.registry.store import Registry
from llmops.runner.plan import Plan, make_plan
from llmops.runner.stage import Attempt, Context
from llmops.simulation.crowd import Outcome
from llmops.simulation.record import SimulationRecord, keep, simulations
from llmops.spec.settings import load_settings
from llmops.stages.catalog import KINDS
from llmops.stages.simulate import _record
from llmops.store.paths import ProjectPaths
from tests.fast.town_project import make_town

RECIPE = """\
kind: simulate
name: crowd
deployment: serving/town.yaml
prompts: prompts.jsonl
visits: 40
users: {number: 10}
"""


@pytest.fixture
def registry(project: Path) -> Registry:
    """town:v1 in production, town:v2 its candidate, and a recipe of simulated users."""
    registry = make_town(project)
    (project / "prompts.jsonl").write_text('{"prompt": "Which river?"}\n')
    (project / "simulate.yaml").write_text(RECIPE)
    return registry


def plan(*overrides: str) -> Plan:
    context = Context(load_settings())
    return make_plan(Path("simulate.yaml"), overrides, context=context, kinds=KINDS)


def simulate(project: Path, *overrides: str) -> SimulationRecord:
    """The record that running the plan would have kept."""
    stage = plan(*overrides).stages[0]
    attempt = Attempt("r1", stage.node, 1, ProjectPaths(project).run("r1").attempt("s", 1), print)
    outcome = Outcome(
        visits=40, answers=Counter({"town:v1": 40}), events=Counter(thumbs=12, edit=3)
    )
    record = _record(stage.prepared, attempt, outcome, 1.0, "simulate.yaml")
    keep(record, ProjectPaths(project))
    return record


def test_a_plan_says_who_visits_what(registry: Registry) -> None:
    (stage,) = plan().stages
    assert stage.state == "run"
    assert stage.prepared.summary == (
        "40 visits of 10 simulated users to town (control town:v1, candidate town:v2)"
    )


def test_what_was_simulated_is_up_to_date(registry: Registry, project: Path) -> None:
    record = simulate(project)
    (stage,) = plan().stages
    assert stage.state == "reuse"
    assert stage.prepared.found == record
    assert record.id.endswith("(40 visits, 15 ratings)")


@pytest.mark.parametrize("override", ["seed=2", "visits=41", "users.malicious=0.1"])
def test_another_recipe_is_another_simulation(
    registry: Registry, project: Path, override: str
) -> None:
    simulate(project)
    assert plan(override).stages[0].state == "run"


def test_what_changed_since_is_told_by_key(registry: Registry, project: Path) -> None:
    assert plan().stages[0].reasons == ("never run",)
    simulate(project)
    registry.move("town", "production", 3, why="better")
    (project / "prompts.jsonl").write_text('{"prompt": "Which lake?"}\n')
    found = plan("users.malicious=0.1", "visits=41").stages[0].reasons
    assert found[1:] == (
        "users.malicious: 0.0 -> 0.1",
        "version of control: town:v1 -> town:v3",
        "visits: 40 -> 41",
    )
    assert found[0].startswith("prompts: ")


def test_how_many_at_once_changes_nothing(registry: Registry, project: Path) -> None:
    simulate(project)
    assert plan("concurrency=3").stages[0].state == "reuse"


def test_other_versions_are_visited_anew(registry: Registry, project: Path) -> None:
    simulate(project)
    registry.move("town", "production", 3, why="better")
    assert plan().stages[0].state == "run"


def test_an_alias_that_names_nothing_yet_is_no_mistake(registry: Registry, project: Path) -> None:
    file = project / "serving" / "town.yaml"
    file.write_text(file.read_text().replace("town@candidate", "town@next"))
    assert "(control town:v1)" in plan().stages[0].prepared.summary


def test_a_directory_is_called_what_gateways_call_it(registry: Registry, project: Path) -> None:
    """The routing table is waited for, and it knows no other name."""
    file = project / "serving" / "town.yaml"
    file.write_text(file.read_text().replace("town@candidate", "path:../source-2"))
    assert "candidate path:source-2)" in plan().stages[0].prepared.summary


@pytest.mark.parametrize("key", ["deployment", "prompts"])
def test_a_file_that_is_not_there_is_told_by_key_and_line(registry: Registry, key: str) -> None:
    with pytest.raises(BadInput, match=r"no such file: nowhere") as caught:
        plan(f"{key}=nowhere")
    assert key in caught.value.where


def test_a_damaged_record_is_told(registry: Registry, project: Path) -> None:
    record = simulate(project)
    ProjectPaths(project).simulation(record.fingerprint).write_text("{")
    with pytest.raises(Failed, match="the record of a simulation is damaged"):
        plan()


def test_records_are_listed_oldest_first(registry: Registry, project: Path) -> None:
    first = simulate(project)
    earlier = [
        first.model_copy(update={"fingerprint": name, "started": started})
        for name, started in (("a", 0.5), ("f", 0.1), ("c", 0.3))
    ]
    for one in earlier:
        keep(one, ProjectPaths(project))
    assert [one.started for one in simulations(ProjectPaths(project))] == [0.1, 0.3, 0.5, 1.0]
