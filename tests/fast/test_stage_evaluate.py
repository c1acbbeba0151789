"""`kind: evaluate` as a stage: evidence, reuse, gates. A server on loopback stands for vLLM."""

import io
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from llmops.errors import BadInput, Failed, GateRefused
from llmops.evaluation.report import read_items
from llmops.registry.evidence import NO_GATE, Evidence, EvidenceLog
from llmops.registry.store import Registry
from llmops.runner.execute import execute
from llmops.runner.plan import Plan, describe, make_plan
from llmops.runner.progress import PlainReporter
from llmops.runner.record import list_runs
from llmops.runner.stage import Context
from llmops.spec.settings import Settings
from llmops.stages.catalog import KINDS
from llmops.store.paths import ProjectPaths
from tests.fast.served import register
from tests.fast.talking_server import Answering, Say, Talker, talking
from tests.fast.test_layers import loaded_by

pytestmark = pytest.mark.slow

SUITE = """\
name: trees
items: items.jsonl
metrics:
  correct: {contains: "{answer}"}
  terse: {max_words: 4}
"""
RECIPE = """\
kind: evaluate
model: "town:v2"
baseline: "town:v1"
suites: [trees.yaml]
through: town.yaml
gate:
  - {suite: trees, metric: correct, not_worse_by: 0.1}
  - {suite: trees, metric: terse, at_least: 0.8}
"""
DEPLOYMENT = 'name: town\nvariants: {one: {model: "town:v1"}}\n'
PIPELINE = """\
name: offer
stages:
  check: {recipe: eval.yaml}
  offer: {promote: "town:v2", to: candidate, when: "stage:check"}
"""


@dataclass
class Servers:
    """As serving.servers.Servers, with one server that answers for every version."""

    talker: Talker
    asked: list[list[str]] = field(default_factory=list)

    @contextmanager
    def answering(
        self, file: Path, versions: Sequence[str], report: object
    ) -> Iterator[dict[str, Answering]]:
        self.asked.append(list(versions))
        with talking(self.talker) as endpoint:
            yield {version: Answering(endpoint, version) for version in versions}

    def close(self) -> None:
        """Nothing was started."""


@dataclass
class Town(Context):
    """A project with town:v1 and town:v2 (tests.fast.served) and what is asked of them."""

    talker: Talker = field(default_factory=lambda: Talker(good))

    @cached_property
    def servers(self) -> Servers:  # type: ignore[override]
        return Servers(self.talker)


def good(model: str, prompt: str) -> str:
    """town:v1 is wordy and town:v2 terse; both know every tree."""
    tree = "oak" + prompt.removeprefix("Tree ").removesuffix("?")
    return f"The {tree}." if model == "town:v2" else f"You will find that it is the {tree}."


def destroyed(model: str, prompt: str) -> str:
    """town:v2 stammers one word: terse, and always wrong."""
    return "the" if model == "town:v2" else good(model, prompt)


@pytest.fixture
def root(project: Path) -> Path:
    register(project)
    rows = [{"id": n, "prompt": f"Tree {n}?", "answer": f"oak{n}"} for n in range(40)]
    (project / "items.jsonl").write_text("\n".join(map(json.dumps, rows)))
    for name, text in (("trees", SUITE), ("eval", RECIPE), ("town", DEPLOYMENT)):
        (project / f"{name}.yaml").write_text(text)
    (project / "offer.yaml").write_text(PIPELINE)
    return project


def town(root: Path, say: Say = good, **server: Any) -> Town:
    return Town(Settings(root=root, cache=root / "cache"), talker=Talker(say, **server))


def plan(context: Town, target: str = "eval.yaml", *overrides: str) -> Plan:
    return make_plan(Path(target), overrides, context=context, kinds=KINDS)


def run(context: Town, target: str = "eval.yaml", *overrides: str) -> str:
    """What is told. A refused gate ends it like any other end."""
    out = io.StringIO()
    with suppress(GateRefused):
        refusing(context, target, *overrides, out=out)
    return out.getvalue()


def refusing(context: Town, target: str, *overrides: str, out: io.StringIO | None = None) -> None:
    execute(
        plan(context, target, *overrides),
        context=context,
        kinds=KINDS,
        reporter=PlainReporter(out or io.StringIO()),
        overrides=overrides,
    )


def evidence(root: Path) -> list[Evidence]:
    return EvidenceLog(ProjectPaths(root)).of("town")


def test_a_passed_gate_is_evidence_about_the_version(root: Path) -> None:
    run(town(root))
    (found,) = evidence(root)
    assert (found.version, found.against, found.passed) == ("town:v2", "town:v1", True)
    assert found.version_digest == Registry(ProjectPaths(root)).resolve("town:v2").digest
    assert "trees.correct 100.0% (+0.0), trees.terse 100.0% (+100.0)" in found.summary
    assert found.id.startswith("evidence:town:v2/eval-")


def test_a_plan_says_what_changed_since_the_evidence(root: Path) -> None:
    def reasons(*overrides: str) -> tuple[str, ...]:
        return plan(town(root), "eval.yaml", *overrides).stages[0].reasons

    assert reasons() == ("never run",)
    run(town(root))
    assert reasons() == ()
    assert reasons("gate.1.at_least=0.9", "sampling.max_tokens=9", "model=town:v1") == (
        "gate.1.at_least: 0.8 -> 0.9",
        "model: town:v2 -> town:v1",
        "sampling.max_tokens: 256 -> 9",
    )
    served = "backend: {kind: vllm, args: {max_model_len: 64}}\n"
    (root / "town.yaml").write_text(DEPLOYMENT + served)
    items = (root / "items.jsonl").read_text().splitlines()
    (root / "items.jsonl").write_text("\n".join(items[1:]))
    length, suite = reasons()
    assert length == "backend.args.max_model_len: new, 64"
    assert suite.startswith("suites.trees: 40 items ")
    assert " -> 39 items " in suite


def test_evidence_whose_report_is_gone_is_made_again(root: Path) -> None:
    run(town(root))
    (found,) = evidence(root)
    (root / str(found.file)).unlink()
    assert plan(town(root)).stages[0].reasons == (f"its report {found.file} is gone",)


def test_a_destroyed_version_is_refused_with_figures(root: Path) -> None:
    told = run(town(root, destroyed))
    (found,) = evidence(root)
    assert not found.passed
    assert "trees.correct is to be worse by less than 10.0 points: found 0.0%" in found.missing[0]
    assert "the gate refuses: trees.correct" in told
    assert "trees.terse 100.0%" in found.summary


def test_the_report_holds_every_answer(root: Path) -> None:
    run(town(root, destroyed))
    file = root / str(evidence(root)[0].file)
    items = read_items(file)
    assert items[3]["answer"] == "the"
    assert items[3]["values"] == {"correct": 0, "terse": 1}
    assert items[3]["baseline_answer"] == "You will find that it is the oak3."
    report = json.loads(file.read_text())
    assert [one["passed"] for one in report["gate"]] == [False, True]
    assert "NOT MET trees.correct" in file.with_name("report.txt").read_text()


def test_an_answer_with_line_separators_is_one_line_of_the_report(tmp_path: Path) -> None:
    file = tmp_path / "items.jsonl"
    file.write_text(json.dumps({"answer": "a\u2028b"}, ensure_ascii=False) + "\n", "utf-8")
    assert read_items(tmp_path / "report.json") == [{"answer": "a\u2028b"}]


def test_answers_of_a_report_that_are_gone_are_told_with_their_path(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as caught:
        read_items(tmp_path / "report.json")
    assert caught.value.where.endswith("items.jsonl")


def test_the_same_again_asks_nothing(root: Path) -> None:
    run(town(root))
    again = town(root)
    assert plan(again).stages[0].state == "reuse"
    assert "up to date: evidence:town:v2/eval-" in run(again)
    assert (again.servers.asked, len(evidence(root))) == ([], 1)


def test_a_plan_of_what_is_up_to_date_is_quick(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(town(root))
    monkeypatch.setenv("LLMOPS_CACHE", str(root / "cache"))
    assert not loaded_by("plan", "eval.yaml", cwd=root) & {"scipy", "numpy", "httpx", "jsonschema"}


@pytest.mark.parametrize(
    ("override", "asked"),
    [
        ("sampling.max_tokens=9", 80),
        ("confidence=0.9", 0),
        ("gate.1.at_least=0.5", 0),
        ("baseline=town:v2", 0),
    ],
)
def test_what_changed_is_found_anew_from_the_answers_that_are_kept(
    root: Path, override: str, asked: int
) -> None:
    run(town(root))
    again = town(root)
    run(again, "eval.yaml", override)
    assert (len(again.talker.asked), len(evidence(root))) == (asked, 2)


def test_evidence_whose_report_is_gone_is_found_anew(root: Path) -> None:
    run(town(root))
    (root / str(evidence(root)[0].file)).unlink()
    run(town(root))
    assert len(evidence(root)) == 2


def test_a_server_that_dies_leaves_no_evidence_and_the_next_run_goes_on(root: Path) -> None:
    with pytest.raises(Failed, match=r"by town:v1, was not answered"):
        run(town(root, lives=60))
    assert evidence(root) == []
    again = town(root)
    run(again)
    assert len(again.talker.asked) == 20
    assert evidence(root)[0].passed


def test_a_promotion_follows_the_evidence(root: Path) -> None:
    context = town(root)
    run(context, "offer.yaml")
    assert context.registry.aliases("town") == {"candidate": 2}


def test_a_promotion_without_evidence_is_refused(root: Path) -> None:
    context = town(root, destroyed)
    with pytest.raises(GateRefused, match=r"does not become candidate: trees\.correct"):
        refusing(context, "offer.yaml")
    assert context.registry.aliases("town") == {}


@pytest.mark.parametrize("times", [1, 2])
def test_a_refused_gate_that_nothing_waits_for_ends_the_run(root: Path, times: int) -> None:
    """Also when the evidence is there already."""
    for _ in range(times):
        with pytest.raises(GateRefused, match=r"town:v2 does not pass: trees\.correct") as caught:
            refusing(town(root, destroyed), "eval.yaml")
    assert "report.json" in caught.value.fix
    assert list_runs(ProjectPaths(root))[-1].state == "refused"


def test_an_evaluation_without_a_gate_does_not_pass(root: Path) -> None:
    run(town(root), "eval.yaml", "gate=[]")
    assert not evidence(root)[0].passed
    assert evidence(root)[0].missing == [NO_GATE]


def test_the_plan_tells_what_the_suite_can_show(root: Path) -> None:
    context = town(root)
    (stage,) = describe(plan(context), context)["stages"]
    assert stage["summary"] == "asks trees (40 items) through town.yaml, 2 requirements"
    assert "gate: trees.correct: detects a drop of" in stage["notes"][0]


@pytest.mark.parametrize(
    ("override", "why"),
    [
        ("gate.0.not_worse_by=0.05", "not_worse_by 0.05 cannot be shown by 40 items"),
        ("gate.1.at_least=0.99", "at_least 0.99 cannot be shown by 40 items"),
        ("gate.0.not_worse_by=5", "further apart than 1"),
        ("gate.0.suite=tree", "no suite `tree` is asked"),
        ("gate.0.metric=corect", "has no metric `corect`"),
        ("suites=[absent.yaml]", "no such file: absent.yaml"),
        ("suites=[trees.yaml, trees.yaml]", "two suites are called `trees`"),
        ("through=absent.yaml", "no such file: absent.yaml"),
        ("model=path:made/full", "is not a registered version"),
        ("baseline=null", "`not_worse_by` compares with a baseline"),
    ],
)
def test_what_cannot_be_evaluated_is_refused_before_anything_runs(
    root: Path, override: str, why: str
) -> None:
    with pytest.raises(BadInput, match=why) as caught:
        plan(town(root), "eval.yaml", override)
    assert caught.value.where


def test_a_gate_that_asks_too_much_is_told_what_it_takes(root: Path) -> None:
    with pytest.raises(BadInput) as caught:
        plan(town(root), "eval.yaml", "gate.0.not_worse_by=0.05")
    assert caught.value.fix == "it takes 73 items; add some, or ask for less"


def test_a_judge_needs_a_baseline(root: Path) -> None:
    metric = "  better: {judge: {url: 'http://127.0.0.1:1', model: j}}\n"
    (root / "trees.yaml").write_text(SUITE + metric)
    with pytest.raises(BadInput, match="a judge compares with a baseline"):
        plan(town(root), "eval.yaml", "baseline=null", "gate=[]")


def test_perplexity_has_no_least_rate(root: Path) -> None:
    (root / "trees.yaml").write_text(SUITE + '  likely: {perplexity: "{answer} is a tree"}\n')
    with pytest.raises(BadInput, match="perplexity is no rate"):
        plan(town(root), "eval.yaml", "gate.1.metric=likely")


@pytest.mark.parametrize(("by", "refused"), [(1, True), (1.5, True), (0.5, False)])
def test_no_perplexity_is_lower_by_all_of_it(root: Path, by: float, refused: bool) -> None:
    (root / "trees.yaml").write_text(SUITE + '  likely: {perplexity: "{answer} is a tree"}\n')
    gate = f"gate=[{{suite: trees, metric: likely, better_by: {by}}}]"
    with pytest.raises(BadInput) if refused else nullcontext() as caught:
        plan(town(root), "eval.yaml", gate)
    if caught is not None:
        assert "no perplexity is lower by 100% or more" in str(caught.value)
