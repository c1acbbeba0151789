"""Experiments on a log as gateways write it: what counts, what is decided, what is shown."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from llmops.cli.experiments import app
from llmops.errors import BadInput
from llmops.experiments.decide import Decision, decide
from llmops.experiments.evidence import record
from llmops.registry.evidence import EvidenceLog
from llmops.registry.store import Registry
from llmops.runner.stage import Context
from llmops.spec.settings import load_settings
from tests.fast import logged
from tests.fast.town_project import DEPLOYMENT, answer, make_town, rated, routes, write_log

GREAT = (0.2, 0.8)


@pytest.fixture
def town(project: Path) -> Registry:
    return make_town(project)


def asked(project: Path, records: list[dict[str, Any]], experiment: str = "") -> Decision:
    """What the experiment says of a log. experiment: more of its declaration."""
    if experiment:
        text = DEPLOYMENT.replace("candidate: candidate}", f"candidate: candidate, {experiment}}}")
        (project / "serving" / "town.yaml").write_text(text, encoding="utf-8")
    write_log(project, records)
    return decide("town", Context(load_settings()))


@pytest.mark.parametrize(
    ("likes", "experiment", "verdict"),
    [
        (GREAT, "", "better"),
        ((0.8, 0.2), "", "worse"),
        ((0.5, 0.5), "", "undecided"),
        ((0.5, 0.5), "not_worse_by: 0.3", "not worse"),
        ((0.7, 0.6), "not_worse_by: 0.4", "not worse"),
        ((0.9, 0.3), "not_worse_by: 0.2", "worse"),
        (GREAT, "outcome: rating", "undecided"),
    ],
)
def test_verdicts(
    project: Path, town: Registry, likes: tuple[float, float], experiment: str, verdict: str
) -> None:
    found = asked(project, rated(300, likes), experiment)
    assert found.verdict == verdict, found.why
    assert found.won == (verdict in ("better", "not worse"))


def test_a_user_counts_once_however_often_he_rates(project: Path, town: Registry) -> None:
    """Six users who rate fifty times each: 300 ratings decide nothing."""
    found = asked(project, rated(6, GREAT, visits=50))
    assert found.analysis is not None
    assert found.verdict == "undecided"
    assert found.analysis.control.outcomes + found.analysis.candidate.outcomes == 6
    assert found.analysis.exposures == 300


def test_what_the_first_rating_was_stays_what_counts(project: Path, town: Registry) -> None:
    found = asked(project, [answer(0, 0, 1), logged.event(0, value=1.0)])
    again = [answer(1, 0, 1), logged.event(1, value=0.0, time=logged.NOW)]
    write_log(project, again, "town-2")  # late, and it says that it was earlier
    found = decide("town", Context(load_settings()))
    assert found.analysis is not None
    assert found.analysis.candidate.mean == 1.0


@pytest.mark.parametrize(
    "changes",
    [
        {"unit": ""},
        {"group": "g1"},
        {"source": "simulated:town"},
        {"variant": "third"},
        {"deployment": "other"},
    ],
)
def test_what_is_no_exposure_counts_nothing(
    project: Path, town: Registry, changes: dict[str, Any]
) -> None:
    found = asked(project, rated(40, GREAT, **changes))
    assert found.verdict == "undecided"
    assert found.why == "no exposures yet of town:v1 and town:v2 side by side"


def test_simulated_users_count_where_it_says_so(project: Path, town: Registry) -> None:
    records = rated(200, GREAT, source="simulated:town")
    assert asked(project, records, "simulated: true").verdict == "better"


def test_only_what_these_two_versions_did_counts(project: Path, town: Registry) -> None:
    """An older candidate was loved; since it was replaced, nobody rated."""
    earlier = rated(100, GREAT)
    for one in earlier:
        if one.get("version") == "town:v2":
            one["version"] = "town:v3"
    since = rated(20, GREAT, first=2000, generation=4)[::2]
    found = asked(project, [*earlier, *since])
    assert found.analysis is not None
    assert found.analysis.exposures == 20
    assert found.analysis.since == (4, logged.NOW + 2000)
    assert "none of" in found.why


def test_regenerating_less_often_is_better(project: Path, town: Registry) -> None:
    records = []
    for user in range(400):
        side = user % 2
        records.append(answer(user, user, side))
        if side == 0 or user % 10 == 1:
            kind = {"kind": "regenerate", "value": None, "inference": f"{user + 9000:040d}"}
            records.append(logged.event(user, other=f"{user:040d}", **kind))
    found = asked(project, records, "outcome: regenerate")
    assert found.verdict == "better"
    assert found.analysis is not None
    assert found.analysis.control.mean == 1.0
    assert found.analysis.candidate.mean == pytest.approx(0.2)


@pytest.mark.parametrize(("scale", "method"), [(1.0, "bounded"), (100.0, "normal")])
def test_metrics_by_name(project: Path, town: Registry, scale: float, method: str) -> None:
    records = rated(300, GREAT)
    for one in records:
        if one["type"] == "feedback":
            number = int(one["inference"])
            value = scale * (one["value"] + 0.5 * (number % 3 == 0)) / 1.5
            one.update(kind="metric", name="sold", value=value)
    found = asked(project, records, 'outcome: "metric:sold"')
    assert found.analysis is not None
    assert (found.verdict, found.analysis.method) == ("better", method)


def test_lost_users_forbid_a_verdict(project: Path, town: Registry) -> None:
    routes(project, 3, control=50, candidate=50)
    found = asked(project, rated(600, GREAT, share=0.3))
    assert found.verdict == "undecided"
    assert "against 50%:50% (generation 3)" in found.why


def test_units_are_held_against_the_weights_of_their_generation(
    project: Path, town: Registry
) -> None:
    routes(project, 3, control=90, candidate=10)
    routes(project, 4, control=50, candidate=50)
    early = rated(300, GREAT, share=0.1, generation=3)
    late = rated(300, GREAT, share=0.5, generation=4, first=1000)
    found = asked(project, [*early, *late])
    assert found.verdict == "better", found.why
    assert found.analysis is not None
    assert found.analysis.ratio.unchecked == 0


@pytest.mark.parametrize(
    ("records", "why"),
    [
        ([], "no exposures yet of town:v1 and town:v2 side by side"),
        ([answer(0, 0, 0)], "no unit has met candidate (town:v2) yet"),
        ([answer(0, 0, 0), answer(1, 1, 1)], "control: none of 1 units gave `thumbs` yet"),
        (rated(60, (1.0, 1.0)), "all outcomes are the same so far; thumbs: gain "),
    ],
)
def test_why_nothing_is_decided(
    project: Path, town: Registry, records: list[dict[str, Any]], why: str
) -> None:
    found = asked(project, records)
    assert found.verdict == "undecided"
    assert found.why.startswith(why)


def test_a_rare_candidate_waits_for_more_of_the_control(project: Path, town: Registry) -> None:
    text = DEPLOYMENT + "traffic: {weights: {control: 90, candidate: 10}}\n"
    (project / "serving" / "town.yaml").write_text(text, encoding="utf-8")
    assert asked(project, rated(2, GREAT)).why == "1 and 1 outcomes, too few to compare"


def test_ties_alone_show_that_it_is_not_worse(project: Path, town: Registry) -> None:
    assert asked(project, rated(200, (1.0, 1.0)), "not_worse_by: 0.2").verdict == "not worse"


def test_a_version_is_not_compared_with_itself(project: Path, town: Registry) -> None:
    town.move("town", "candidate", 1, why="same")
    found = asked(project, rated(50, GREAT))
    assert found.why == "control and candidate are the same version, town:v1"
    assert found.analysis is None


def test_an_alias_that_names_nothing_is_told(project: Path, town: Registry) -> None:
    text = DEPLOYMENT.replace("town@candidate", "town@next")
    (project / "serving" / "town.yaml").write_text(text, encoding="utf-8")
    assert asked(project, []).why == "candidate (town@next) names no version yet"


def test_a_directory_is_counted_under_the_name_that_is_logged(
    project: Path, town: Registry
) -> None:
    text = DEPLOYMENT.replace("town@candidate", "path:../source-2")
    (project / "serving" / "town.yaml").write_text(text, encoding="utf-8")
    pair = asked(project, []).pair
    assert pair is not None
    assert pair.candidate_version == "path:source-2"


def test_a_candidate_without_traffic_is_told(project: Path, town: Registry) -> None:
    text = DEPLOYMENT + "traffic: {weights: {control: 0, candidate: 0, other: 1}}\n"
    text = text.replace("variants:\n", 'variants:\n  other: {model: "town:v3"}\n')
    (project / "serving" / "town.yaml").write_text(text, encoding="utf-8")
    assert asked(project, []).why == "neither variant gets any traffic"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("towns", DEPLOYMENT, "did you mean `town`"),
        ("town", DEPLOYMENT.split("experiment")[0], "declares no experiment"),
        ("town", DEPLOYMENT.replace("candidate: candidate}", "candidate: control}"), "with itself"),
        ("town", DEPLOYMENT + "oops: 1\n", "unknown key `oops`"),
    ],
)
def test_bad_input(project: Path, town: Registry, name: str, text: str, message: str) -> None:
    (project / "serving" / "town.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(BadInput) as caught:
        decide(name, Context(load_settings()))
    assert message in str(caught.value)


def test_a_decision_is_kept_once_as_evidence(project: Path, town: Registry) -> None:
    context = Context(load_settings())
    decided = asked(project, rated(300, GREAT))
    first = record(decided, context, by="run r1")
    assert record(decided, context, by="run r2").id == first.id
    (kept,) = EvidenceLog(context.paths).of("town", "town:v2")
    assert (kept.kind, kept.passed, kept.against) == ("experiment", True, "town:v1")
    report = json.loads((project / str(kept.file)).read_text(encoding="utf-8"))
    assert report["verdict"] == "better"
    assert report["interval"][0] > 0


def shown(*args: str) -> str:
    result = CliRunner().invoke(app, args)
    assert result.exit_code == 0, result.exception
    return result.output


def test_show_tells_what_it_stands_on(project: Path, town: Registry) -> None:
    routes(project, 3, control=50, candidate=50)
    write_log(project, rated(300, GREAT))
    text = shown("show", "town")
    for part in (
        "town: is candidate better than control, by thumbs?",
        "verdict       better: thumbs: gain [+0.",
        "since         generation 3 of the routes, 2025-10-09",
        "sample ratio  as the weights say",
        "town:v2",
        "50%",
    ):
        assert part in text


def test_show_and_list_as_json(project: Path, town: Registry) -> None:
    write_log(project, rated(300, GREAT))
    one = json.loads(shown("show", "town", "--json"))
    assert json.loads(shown("list", "--json")) == [one]
    assert one["versions"] == {"control": "town:v1", "candidate": "town:v2"}
    assert sum(side["units"] for side in one["variants"]) == 300
    assert one["sample_ratio"]["unchecked"] == 300


def test_list_without_any(project: Path) -> None:
    assert "no deployment in serving/ declares an `experiment:`" in shown("list")
