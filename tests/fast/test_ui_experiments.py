"""The Experiments tab: a verdict with what it stands on, and what cannot be decided."""

from typing import Any

import pytest

from llmops.ui.experiment import experiment
from llmops.ui.experiments import shown
from tests.fast.test_ui_words import Read

EVIL = "<img src=x onerror=alert(1)>"


def found(**changes: Any) -> dict[str, Any]:
    def side(name: str, mean: float | None) -> dict[str, Any]:
        ends = None if mean is None else [mean - 0.1, mean + 0.1]
        return {"variant": name, "version": f"town:{name[:2]}", "units": 80, "outcomes": 60,
                "mean": mean, "interval": ends, "weight": 0.5}  # fmt: skip

    generations = [{"generation": 2, "units": [70, 30], "share": 0.5}]
    return {
        "experiment": "town", "control": "control", "candidate": "candidate", "outcome": "thumbs",
        "not_worse_by": 0.15, "alpha": 0.05, "simulated": True, "verdict": "not worse",
        "why": "thumbs: gain [-0.1, +0.3] is above -0.15",
        "versions": {"control": "town:v2", "candidate": "town:v3"},
        "variants": [side("control", 0.5), side("candidate", 0.6)], "gain": 0.1,
        "interval": [-0.1, 0.3], "confidence": 0.95, "method": "bounded", "blocks": 63,
        "exposures": 318, "since": {"generation": 2, "time": 1_700_000_000_000},
        "sample_ratio": {"p": 0.4, "mismatch": False, "unchecked": 0, "generations": generations},
    } | changes  # fmt: skip


def test_a_candidate_that_won_can_be_promoted_from_here() -> None:
    text = experiment(found())
    assert "?tab=models&amp;model=town&amp;version=3&amp;to=production" in text
    assert "+0.100" in text
    assert "[-0.100, +0.300]" in text


@pytest.mark.parametrize("verdict", ["worse", "undecided"])
def test_one_that_did_not_win_is_not_offered(verdict: str) -> None:
    assert "to=production" not in experiment(found(verdict=verdict))


def test_a_split_that_is_not_as_promised_is_a_warning() -> None:
    check = found()["sample_ratio"] | {"p": 1e-9, "mismatch": True}
    text = Read(experiment(found(verdict="undecided", sample_ratio=check))).text
    assert "was not split as the weights say" in text
    assert "30.0%" in text


def test_units_under_weights_that_nobody_recorded_are_no_pass() -> None:
    generations = [{"generation": 1, "units": [4, 5], "share": None}]
    check = {"p": 1.0, "mismatch": False, "unchecked": 9, "generations": generations}
    text = Read(experiment(found(sample_ratio=check))).text
    assert "not checked" in text
    assert "9 units came while" in text


def test_while_no_two_versions_face_each_other_the_reason_is_told() -> None:
    bare = {key: found()[key] for key in ("experiment", "control", "candidate", "outcome")}
    told = {"not_worse_by": None, "verdict": "undecided", "why": "neither gets any traffic"}
    text = Read(experiment({**bare, **told, "simulated": False, "variants": []})).text
    assert "Is candidate better than control, by thumbs?" in text
    assert "Neither gets any traffic." in text


def test_an_interval_without_ends_is_told_as_any() -> None:
    assert "[any, any]" in experiment(found(interval=[None, None], verdict="undecided"))


def test_one_experiment_is_shown_alone() -> None:
    other = found(experiment="shop", outcome="rating")
    assert "by rating" not in shown([found(), other], "town")
    assert "No deployment gone declares" in shown([found()], "gone")


def test_without_experiments_it_says_how_to_declare_one() -> None:
    assert "outcome: thumbs" in shown([], None)


def test_names_of_others_are_only_text() -> None:
    evil = found(experiment=EVIL, why=EVIL, candidate=EVIL, outcome=EVIL, verdict=EVIL)
    evil["versions"] = {"control": EVIL, "candidate": EVIL}
    read = Read(shown([evil], None))
    assert EVIL in read.text
    assert "img" not in read.names
