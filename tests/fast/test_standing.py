"""What a promotion stands on, by policy: which pieces count, and what they lack."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from llmops.registry.evidence import Evidence
from llmops.registry.manifest import Manifest, VersionId
from llmops.registry.standing import Step, standing
from llmops.spec.policy import BUILT_IN, Policy

V2 = Manifest(name="town", number=2, kind="full", stage="sft", created="", digest="2", files={})
PRODUCTION = BUILT_IN["production"]
BOTH = Policy(needs=["evaluation", "experiment"])


def piece(kind: str, *, passed: bool = True, days: float = 0, **changes: Any) -> Evidence:
    """About town:v2, against town:v1; so many days old."""
    told = {
        "id": kind,
        "time": (datetime.now(UTC) - timedelta(days=days)).isoformat(),
        "kind": kind,
        "version": "town:v2",
        "version_digest": "2",
        "against": "town:v1",
        "passed": passed,
        "summary": "it failed",
        "digest": "d",
    }
    return Evidence.model_validate({**told, **changes})


def lacks(policy: Policy | None, *pieces: Evidence, current: int | None = 1) -> str:
    now = None if current is None else VersionId("town", current)
    return "; ".join(standing(Step(V2, "production", now, policy), pieces).missing)


@pytest.mark.parametrize("policy", [PRODUCTION, BOTH, None])
def test_what_is_needed_and_passed_lacks_nothing(policy: Policy | None) -> None:
    assert lacks(policy, piece("evaluation"), piece("experiment")) == ""


@pytest.mark.parametrize(
    ("policy", "pieces", "words"),
    [
        (PRODUCTION, [], "there is no experiment about town:v2"),
        (PRODUCTION, [piece("evaluation")], "there is no experiment"),
        (PRODUCTION, [piece("override")], "there is no experiment"),
        (PRODUCTION, [piece("experiment", passed=False)], "it failed"),
        (PRODUCTION, [piece("experiment"), piece("evaluation", passed=False)], "it failed"),
        (BOTH, [piece("experiment")], "there is no evaluation"),
        (None, [], "there is no evidence about town:v2"),
    ],
)
def test_what_lacks_is_said(policy: Policy | None, pieces: list[Evidence], words: str) -> None:
    assert words in lacks(policy, *pieces)


def test_what_passed_after_it_failed_counts() -> None:
    assert lacks(PRODUCTION, piece("evaluation", passed=False), piece("experiment")) == ""


@pytest.mark.parametrize("policy", [PRODUCTION, None])
def test_evidence_of_other_bytes_is_none(policy: Policy | None) -> None:
    assert "on other bytes than town:v2" in lacks(policy, piece("experiment", version_digest="1"))


def test_a_record_of_before_that_names_no_bytes_counts() -> None:
    assert lacks(PRODUCTION, piece("experiment", version_digest=None)) == ""


def test_an_experiment_counts_against_what_the_alias_names_only() -> None:
    assert "production names town:v3 now" in lacks(PRODUCTION, piece("experiment"), current=3)


def test_the_first_move_of_production_needs_no_experiment() -> None:
    assert lacks(PRODUCTION, current=None) == ""
    assert "no evaluation" in lacks(BOTH, current=None)
    assert "it failed" in lacks(PRODUCTION, piece("evaluation", passed=False), current=None)


def test_evidence_has_an_age() -> None:
    fresh = Policy(needs=["evaluation"], max_age="7d")
    assert lacks(fresh, piece("evaluation", days=6)) == ""
    assert "more than 7d ago" in lacks(fresh, piece("evaluation", days=8))


def test_an_evaluation_may_have_to_be_of_one_recipe() -> None:
    policy = Policy(needs=["evaluation"], recipe="recipes/eval.yaml")
    assert "by recipes/eval.yaml" in lacks(policy, piece("evaluation", recipe="easy.yaml"))
    assert lacks(policy, piece("evaluation", recipe="recipes/eval.yaml")) == ""


def test_who_promotes_by_hand_approves() -> None:
    assert lacks(Policy(needs=["approval"])) == ""


def test_an_alias_that_is_declared_to_need_nothing_moves() -> None:
    assert lacks(Policy(needs=[]), piece("evaluation", passed=False)) == ""
