"""`promote`: what moves an alias, what it asks for, and runs that wait for it and go on."""

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from llmops.errors import BadInput, Failed, GateRefused, LlmopsError
from llmops.preferences.snapshot import snapshots
from llmops.registry.evidence import Evidence, EvidenceLog
from llmops.registry.locate import Located, located
from llmops.registry.manifest import Draft
from llmops.runner.fingerprint import fingerprint
from llmops.runner.patience import Patience
from llmops.runner.plan import Plan, make_plan
from llmops.runner.progress import PlainReporter
from llmops.runner.record import RunRecord, find_run
from llmops.runner.resume import resume, take_over
from llmops.runner.stage import Attempt, Context, Node, Pending, Prepared, Stage
from llmops.runner.start import resume_run, start_run
from llmops.spec.settings import load_settings
from llmops.stages.catalog import KINDS
from llmops.stages.history import looked_up
from tests.fast.copying_stage import tiny_model
from tests.fast.said import Said
from tests.fast.town_project import DEPLOYMENT, make_town, rated, write_log

EVALUATION = """\
kind: evaluate
model: town@candidate
suites: [suite.yaml]
through: serving/town.yaml
gate: [{suite: s, metric: correct, at_least: 0.5}]
"""
GATED = """\
name: p
stages:
  check: {recipe: eval.yaml, model: "town:v2"}
  offer: {promote: "town:v2", to: offered, when: "stage:check"}
"""
TRIED = """\
name: p
stages:
  made: {recipe: r.yaml}
  release: {promote: "town:v2", to: production, when: "experiment:town", after: [made]}
"""
MAKING = """\
kind: simulate
name: users
deployment: town
prompts: seed.txt
visits: 1
"""
PAIRS = """\
kind: preferences
deployment: town
builders: {votes: {}}
output: {preferences: town}
"""
GREAT = (0.2, 0.8)
NEEDS_BOTH = '[aliases.town.production]\nneeds = ["evaluation", "experiment", "approval"]\n'
NEEDS_EVALUATION = '[aliases."*".offered]\nneeds = ["evaluation"]\n'


class Measuring:
    """Stands where `evaluate` stands; its evidence is what the test says."""

    kind = "evaluate"

    def __init__(self) -> None:
        self.about, self.passed, self.asked = "town:v2", True, 0
        self.digest: str | None = None

    def inputs(self, spec: Any) -> dict[str, tuple[str, tuple[str | int, ...]]]:
        return {"model": (spec.model, ("model",))}

    def moves(self, spec: Any) -> str | None:
        return None

    def prepare(self, node: Node, inputs: Mapping[str, Any], context: Context) -> Prepared:
        return Prepared({"model": inputs["model"].id}, Pending(node.name, "evidence", node.name))

    def execute(self, prepared: Prepared, attempt: Attempt, context: Context) -> Evidence:
        self.asked += 1
        evidence = Evidence(
            id=f"evaluation-{self.asked}",
            time="2026-01-01T00:00:00+00:00",
            kind="evaluation",
            version=self.about,
            version_digest=self.digest,
            passed=self.passed,
            summary="correct 0.4",
            missing=[] if self.passed else ["correct: 0.4, at least 0.5 asked"],
            file=".llmops/evaluations/1.json",
            digest="d" * 64,
        )
        EvidenceLog(context.paths).add(evidence)
        return evidence


class Making:
    """Stands where `simulate` stands, which needs no engine; makes a version from `seed.txt`."""

    kind = "simulate"

    def __init__(self) -> None:
        self.made = 0
        self.error: LlmopsError | None = None

    def inputs(self, spec: Any) -> dict[str, tuple[str, tuple[str | int, ...]]]:
        return {}

    def moves(self, spec: Any) -> str | None:
        return None

    def prepare(self, node: Node, inputs: Mapping[str, Any], context: Context) -> Prepared:
        parts = {"seed": (context.settings.root / "seed.txt").read_text(encoding="utf-8")}
        found, reasons, _ = looked_up(node, "town", parts, context)
        output = Pending(node.name, "full", "town")
        return Prepared(parts, output, found, done=found is not None, reasons=reasons)

    def execute(self, prepared: Prepared, attempt: Attempt, context: Context) -> Located:
        if self.error is not None:
            raise self.error
        self.made += 1
        folder = tiny_model(attempt.paths.result, prepared.parts["seed"])
        parts = prepared.parts
        draft = Draft(
            name="town", kind="full", stage="sft", fingerprint=fingerprint(parts), parts=parts
        )
        return located(context.registry.add(draft, folder), context.registry)


class Project:
    """A project with the pipeline `p.yaml`, run with the tests' own kinds beside `promote`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.registry = make_town(root)
        self.making, self.measuring = Making(), Measuring()
        self.kinds: dict[str, Stage] = {
            **KINDS,
            "simulate": self.making,
            "evaluate": self.measuring,
        }
        self.write("seed.txt", "first")
        self.write("r.yaml", MAKING)
        self.write("eval.yaml", EVALUATION)

    def write(self, name: str, text: str) -> None:
        (self.root / name).write_text(text, encoding="utf-8")

    def aliases(self) -> dict[str, int]:
        return self.registry.aliases("town")

    def plan(self, pipeline: str) -> Plan:
        self.write("p.yaml", pipeline)
        context = Context(load_settings())
        return make_plan(self.root / "p.yaml", [], context=context, kinds=self.kinds)

    def run(
        self, pipeline: str, *, resume: str = "", patience: Patience | None = None
    ) -> RunRecord:
        if pipeline:
            self.write("p.yaml", pipeline)
        self.told = io.StringIO()
        given: dict[str, Any] = {
            "context": Context(load_settings()),
            "kinds": self.kinds,
            "reporter": PlainReporter(self.told),
            "patience": patience,
        }
        return resume_run(resume, **given) if resume else start_run(Path("p.yaml"), [], **given)

    def last(self) -> RunRecord:
        return find_run(Context(load_settings()).paths, "last")


@pytest.fixture
def town(project: Path) -> Project:
    return Project(project)


def test_evidence_that_passed_moves_the_alias_and_is_named(town: Project) -> None:
    assert town.run(GATED).state == "done"
    assert town.aliases()["offered"] == 2
    move = town.registry.history("town")[-1]
    assert move.why == "stage offer of p.yaml; correct 0.4 (evaluation-1)"


def test_evidence_that_did_not_pass_refuses(town: Project) -> None:
    town.measuring.passed = False
    with pytest.raises(GateRefused, match=r"town:v2 does not become offered: correct: 0.4"):
        town.run(GATED)
    assert "offered" not in town.aliases()
    record = town.last()
    assert (record.state, record.stages[1].state) == ("refused", "refused")


def test_evidence_about_another_version_is_bad_input(town: Project) -> None:
    town.measuring.about = "town:v3"
    with pytest.raises(BadInput, match=r"is about town:v3, not about town:v2"):
        town.run(GATED)
    assert "offered" not in town.aliases()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("gate:", "# gate:", "has no `gate`"),
        ('"stage:check"', '"stage:offer"', "circle"),
        ('"stage:check"', '"stage:chek"', "did you mean `check`"),
        ('"stage:check"', '"experiment:city"', "no deployment `city`"),
        ('recipe: eval.yaml, model: "town:v2"', "recipe: r.yaml", "gives no evidence"),
    ],
)
def test_gates_that_cannot_be_are_refused_by_the_plan(
    town: Project, old: str, new: str, message: str
) -> None:
    town.write("eval.yaml", EVALUATION.replace(old, new))
    with pytest.raises(BadInput) as caught:
        town.plan(GATED.replace(old, new))
    assert message in str(caught.value)


def test_a_plan_says_what_a_move_waits_for(town: Project) -> None:
    offer = town.plan(GATED).stages[1]
    assert offer.state == "pending"
    assert offer.prepared.summary == "offered -> town:v2, when stage:check says so"


@pytest.mark.parametrize(("alias", "number"), [("production", 1), ("fresh", 2)])
def test_once_moves_only_what_names_nothing(town: Project, alias: str, number: int) -> None:
    pipeline = f'name: p\nstages:\n  m: {{promote: "town:v2", to: {alias}, once: true}}\n'
    kept = town.plan(pipeline).stages[0]
    assert (kept.state == "reuse") == (number == 1)
    town.run(pipeline)
    assert town.aliases()[alias] == number
    assert town.run(pipeline).stages[0].state == "reused"


def test_once_is_settled_before_the_version_is_made(town: Project) -> None:
    pipeline = """\
name: p
stages:
  made: {recipe: r.yaml}
  first: {promote: "stage:made", to: production, once: true}
"""
    kept = town.plan(pipeline).stages[1]
    assert kept.state == "reuse"
    assert kept.prepared.summary == "town@production stays town:v1"
    assert kept.prepared.notes == ("once: it names a version already",)


def test_a_won_experiment_releases(town: Project) -> None:
    write_log(town.root, rated(300, GREAT))
    assert town.run(TRIED).state == "done"
    assert town.aliases()["production"] == 2
    (kept,) = EvidenceLog(Context(load_settings()).paths).of("town")
    assert kept.passed
    assert kept.version_digest == town.registry.resolve("town:v2").digest
    assert kept.id in town.registry.history("town")[-1].why


def test_a_lost_experiment_refuses_and_is_kept(town: Project) -> None:
    write_log(town.root, rated(300, (0.8, 0.2)))
    with pytest.raises(GateRefused, match=r"does not become production: thumbs: gain \[-0"):
        town.run(TRIED)
    assert town.aliases()["production"] == 1
    assert [e.passed for e in EvidenceLog(Context(load_settings()).paths).of("town")] == [False]


def test_an_experiment_about_another_version_is_bad_input(town: Project) -> None:
    town.registry.move("town", "candidate", 3, why="another")
    with pytest.raises(BadInput, match=r"tries town:v3, not town:v2"):
        town.run(TRIED)


def test_what_is_released_already_asks_nothing(town: Project) -> None:
    town.registry.move("town", "production", 2, why="by hand")
    assert town.run(TRIED).stages[1].state == "reused"


def test_an_undecided_experiment_ends_the_run_as_waiting(town: Project) -> None:
    record = town.run(TRIED)
    assert record.state == "waiting"
    assert [stage.shown for stage in record.stages] == ["done", "waiting"]
    assert "no exposures yet of town:v1 and town:v2" in str(record.stages[1].error)
    assert "release: waiting: experiment `town`: no exposures yet" in town.told.getvalue()


def test_a_waiting_run_goes_on_with_what_it_made(town: Project) -> None:
    """Its input has changed since: planned anew, the first stage would be made again."""
    waiting = town.run(TRIED)
    town.write("seed.txt", "second")
    assert town.run("", resume="last").state == "waiting"
    write_log(town.root, rated(300, GREAT))
    record = town.run("", resume=waiting.id)
    assert (record.id, record.state) == (waiting.id, "done")
    assert [stage.state for stage in record.stages] == ["done", "done"]
    assert town.making.made == 1
    assert town.plan(TRIED).stages[0].state == "run"


def test_a_patient_run_asks_again_until_it_is_decided(town: Project) -> None:
    class Meanwhile(Patience):
        """While it waits, the users rate."""

        def pause(self) -> bool:
            write_log(town.root, rated(300, GREAT))
            return True

    record = town.run(TRIED, patience=Meanwhile(None))
    assert record.state == "done"
    assert town.told.getvalue().count("release: town@production -> town:v2") == 1


def test_patience_has_an_end() -> None:
    assert not Patience().pause()
    patience = Patience(seconds=0.05, every=0.03)
    assert [patience.pause() for _ in range(3)] == [True, True, False]


def test_looking_takes_a_tenth_of_the_time_at_most() -> None:
    patience = Patience(every=5)
    assert patience.interval == 5
    patience.looked(20)
    assert patience.interval == 180


def test_a_run_tells_its_patience_how_long_it_looked(town: Project) -> None:
    class Once(Patience):
        def pause(self) -> bool:
            assert self.interval > self.every
            return False

    assert town.run(TRIED, patience=Once(None, every=0.0)).state == "waiting"


def test_a_failed_run_goes_on_where_it_failed(town: Project) -> None:
    pipeline = TRIED.replace("stages:\n", 'stages:\n  m: {promote: "town:v3", to: x}\n')
    town.making.error = LlmopsError("it broke")
    with pytest.raises(LlmopsError, match="it broke"):
        town.run(pipeline)
    town.making.error = None
    town.registry.move("town", "production", 2, why="by hand")
    record = town.run("", resume="last")
    assert [stage.state for stage in record.stages] == ["done", "done", "reused"]
    assert (town.root / f".llmops/runs/{record.id}/made/2").is_dir()


def test_what_an_evaluation_showed_is_found_again(town: Project) -> None:
    """The gate is asked with the evidence of the run, not with a newer one."""
    pipeline = GATED + TRIED.split("stages:\n")[1]
    town.run(pipeline)
    town.registry.move("town", "offered", 1, why="undone")
    town.run("", resume="last")
    assert town.measuring.asked == 1


def changed_recipe(town: Project) -> None:
    town.write("r.yaml", MAKING.replace("visits: 1", "visits: 7"))


def more_stages(town: Project) -> None:
    town.write("p.yaml", TRIED + '  more: {promote: "town:v3", to: more}\n')


@pytest.mark.parametrize(
    ("change", "stage"), [(changed_recipe, "made"), (more_stages, "more")], ids=["recipe", "stage"]
)
def test_a_changed_declaration_is_another_run(
    town: Project, change: Callable[[Project], None], stage: str
) -> None:
    town.run(TRIED)
    change(town)
    with pytest.raises(BadInput) as caught:
        town.run("", resume="last")
    assert f"the declaration of {stage} has changed" in str(caught.value)
    assert "llmops run p.yaml" in str(caught.value)
    assert town.last().state == "waiting"


def test_a_run_that_another_took_meanwhile_is_left_alone(town: Project) -> None:
    town.run(TRIED)
    context = Context(load_settings())
    first, second = (resume("last", context=context, kinds=town.kinds) for _ in range(2))
    take_over(first, context)
    with pytest.raises(BadInput, match="is running"):
        take_over(second, context)


def test_a_run_that_cannot_be_planned_still_waits(town: Project) -> None:
    town.run(TRIED)
    deployment = town.root / "serving" / "town.yaml"
    deployment.write_text(DEPLOYMENT.split("exp")[0], encoding="utf-8")
    with pytest.raises(BadInput, match="declares no experiment"):
        town.run("", resume="last")
    assert town.last().state == "waiting"


def test_comments_do_not_change_a_declaration(town: Project) -> None:
    town.run(TRIED)
    town.write("p.yaml", "# why\n" + TRIED)
    assert town.run("", resume="last").state == "waiting"


def test_a_finished_run_does_not_go_on(town: Project) -> None:
    town.run(GATED)
    with pytest.raises(BadInput, match="is done"):
        town.run("", resume="last")


def test_a_refused_run_does_not_go_on(town: Project) -> None:
    town.measuring.passed = False
    with pytest.raises(GateRefused):
        town.run(GATED)
    with pytest.raises(BadInput, match="is refused"):
        town.run("", resume="last")


def test_what_was_made_and_is_gone_is_told(town: Project) -> None:
    town.run(TRIED)
    made = town.last().stages[0].output
    assert made == "town:v4"
    (town.root / ".llmops/models/town/v4").rename(town.root / "away")
    with pytest.raises(BadInput, match=r"stage `made` .* cannot be found: there is no version"):
        town.run("", resume="last")


def test_evidence_is_found_again_by_what_it_says(town: Project) -> None:
    town.run(GATED + TRIED.split("stages:\n")[1])
    log = EvidenceLog(town.registry.paths)
    (first,) = log.of("town")
    town.registry.paths.evidence("town").unlink()
    log.add(first.model_copy(update={"digest": "e" * 64, "passed": False}))
    with pytest.raises(BadInput, match=r"stage `check` .* no evidence `evaluation-1`"):
        town.run("", resume="last")
    log.add(first)
    context = Context(load_settings())
    assert resume("last", context=context, kinds=town.kinds).made["check"] == first


def test_the_deployment_of_an_experiment_is_checked_by_the_plan(town: Project) -> None:
    (town.root / "serving" / "town.yaml").write_text(DEPLOYMENT.split("exp")[0], encoding="utf-8")
    with pytest.raises(BadInput, match="declares no experiment"):
        town.plan(TRIED)


def test_feedback_that_came_since_starts_no_other_round(town: Project) -> None:
    said = Said()
    for number in range(40):
        prompt, user = f"prompt {number}", f"user {number}"
        said.vote(said.ask(prompt, "good", user), said.ask(prompt, "bad", user), "first", user)
    town.write("pairs.yaml", PAIRS)
    pipeline = TRIED.replace("r.yaml", "pairs.yaml")
    write_log(town.root, [*said.answers[:40], *said.events[:20]])
    assert [stage.output for stage in town.run(pipeline).stages] == ["preferences:town@1", None]
    write_log(town.root, [*said.answers[40:], *said.events[20:]], "town-2")
    assert town.run("", resume="last").state == "waiting"
    paths = Context(load_settings()).paths
    assert len(snapshots("town", paths)) == 1
    assert town.run(pipeline).stages[0].output == "preferences:town@2"


@pytest.mark.parametrize(
    ("stage", "cure"),
    [
        ('{promote: "stage:made", to: production}', 'when: "experiment:NAME"'),
        ('{promote: "town:v2", to: production, approval: true}', 'when: "experiment:NAME"'),
        ('{promote: "town:v2", to: production, when: "experiment:town"}', "approval: true"),
        ('{promote: "town:v2", to: production, when: "stage:eval"}', 'when: "experiment:NAME"'),
    ],
)
def test_a_move_that_asks_for_less_than_llmops_toml_is_refused_by_the_plan(
    town: Project, stage: str, cure: str
) -> None:
    town.write("llmops.toml", NEEDS_BOTH)
    made = '{made: {recipe: r.yaml}, eval: {recipe: eval.yaml, model: "town:v2"}, go: '
    with pytest.raises(BadInput, match=r"llmops.toml asks of town@production for") as caught:
        town.plan(f"name: p\nstages: {made}\n  {stage}}}\n")
    assert cure in caught.value.fix
    assert caught.value.where == "p.yaml:3: stages.go.to"


def test_an_alias_that_stands_there_already_is_asked_nothing(town: Project) -> None:
    town.write("llmops.toml", NEEDS_BOTH)
    pipeline = 'name: p\nstages: {go: {promote: "town:v1", to: production}}\n'
    assert town.run(pipeline).stages[0].state == "reused"


def test_what_llmops_toml_asks_for_may_be_there_already(town: Project) -> None:
    town.write("llmops.toml", NEEDS_EVALUATION)
    plain = 'name: p\nstages: {go: {promote: "town:v2", to: offered}}\n'
    with pytest.raises(BadInput, match="asks of town@offered for evaluation"):
        town.plan(plain)
    town.run(GATED.replace("to: offered", "to: elsewhere"))
    assert town.run(plain).state == "done"


def test_what_llmops_toml_asks_for_is_looked_at_as_the_alias_moves(town: Project) -> None:
    town.write("llmops.toml", NEEDS_BOTH.replace(', "approval"', ""))
    write_log(town.root, rated(300, GREAT))
    with pytest.raises(GateRefused, match="there is no evaluation about town:v2"):
        town.run(TRIED)
    assert town.aliases()["production"] == 1
    town.run(GATED)
    assert town.run(TRIED).state == "done"


def test_the_first_move_needs_no_experiment(town: Project) -> None:
    town.write("llmops.toml", '[aliases."*"]\nfresh.needs = ["experiment"]\n')
    town.run('name: p\nstages: {go: {promote: "town:v2", to: fresh, once: true}}\n')
    assert town.aliases()["fresh"] == 2


def test_evidence_of_other_bytes_moves_nothing(town: Project) -> None:
    town.measuring.digest = "of others"
    with pytest.raises(BadInput, match="was made on other bytes than town:v2 has now"):
        town.run(GATED)


def test_a_damaged_version_is_not_moved_to(town: Project) -> None:
    file = town.registry.directory(town.registry.resolve("town:v2")) / "tokenizer.json"
    file.chmod(0o644)
    file.write_text("{ }")
    with pytest.raises(Failed, match=r"`tokenizer\.json` has changed"):
        town.run(GATED)
    assert "offered" not in town.aliases()
