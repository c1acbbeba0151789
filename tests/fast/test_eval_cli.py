"""`llmops eval`: running a suite, the list, the reports. A server on loopback stands for vLLM."""

import json
from pathlib import Path

import pytest

from llmops.cli import eval as command
from llmops.engines.contract import Progress
from llmops.errors import BadInput
from llmops.evaluation.history import evaluations, find
from llmops.stages.evaluate import evaluate_now
from tests.conftest import Llmops
from tests.fast.test_stage_evaluate import Town, destroyed, good, root, run, town

__all__ = ["root"]

ASKED = {"kind": "evaluate", "model": "town:v2", "suites": ["trees.yaml"], "through": "town.yaml"}


def quiet(progress: Progress) -> None:
    pass


def test_a_suite_is_run_without_a_recipe(root: Path) -> None:
    told: list[Progress] = []
    found = evaluate_now(ASKED | {"baseline": None}, town(root), told.append)
    assert (found.version, found.against, found.passed) == ("town:v2", None, False)
    assert Progress("asking town:v2 trees", step=40, total=40) in told
    assert not any(one.warning for one in told)


def test_the_same_again_is_read_from_its_report(root: Path) -> None:
    first = evaluate_now(ASKED, town(root), quiet)
    silent = town(root, lives=0)
    assert evaluate_now(ASKED, silent, quiet) == first
    assert silent.servers.asked == []


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"model": "town"}, "`town` is not a reference"),
        ({"model": "town:v9"}, "no version town:v9"),
        ({"suites": ["absent.yaml"]}, "no such file: absent.yaml"),
    ],
)
def test_bad_input_is_told(root: Path, change: dict[str, object], why: str) -> None:
    with pytest.raises(BadInput, match=why):
        evaluate_now(ASKED | change, town(root), quiet)


@pytest.fixture
def evaluated(root: Path) -> Town:
    """Refused, then passed."""
    run(town(root, destroyed))
    other = town(root, good)
    run(other, "eval.yaml", "sampling.max_tokens=99")
    return other


def test_the_list_tells_every_evaluation(evaluated: Town, llmops: Llmops) -> None:
    lines = llmops("eval", "list").stdout.splitlines()
    assert [("refused" in line, "passed" in line) for line in lines if "town:v2/eval-" in line] == [
        (True, False),
        (False, True),
    ]


def test_the_newest_of_a_version_is_shown(
    evaluated: Town, capsys: pytest.CaptureFixture[str]
) -> None:
    command.show("town:v2", items=True)
    shown = capsys.readouterr().out
    assert "the gate passes" in shown
    assert "trees 3: Tree 3?\n  The oak3.  [correct 1, terse 1]\n  baseline You will" in shown


def test_one_is_shown_by_its_id_as_json(
    evaluated: Town, capsys: pytest.CaptureFixture[str]
) -> None:
    first = evaluations(evaluated.registry, evaluated.paths)[0]
    command.show(first.id.removeprefix("evidence:"), items=True, json=True)
    shown = json.loads(capsys.readouterr().out)
    assert (shown["id"], shown["passed"], len(shown["items"])) == (first.id, False, 40)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("town:v1", "town:v1 has not been evaluated"),
        ("town:v2/none", "no evaluation `town:v2/none`"),
        ("twon:v2", "no model `twon`"),
    ],
)
def test_what_is_not_there_is_told(evaluated: Town, text: str, why: str) -> None:
    with pytest.raises(BadInput, match=why):
        find(text, evaluated.registry, evaluated.paths)
