"""What a run's files tell of it: figures, logs, graph, changes."""

import asyncio
import json
import math
from pathlib import Path
from typing import Any

import pytest

from llmops.errors import BadInput
from llmops.registry.manifest import Draft, Lineage
from llmops.registry.store import Registry
from llmops.runner.alarm import Alarm
from llmops.runner.observe import Change, Watch, changes, graph, log, metrics, warnings
from llmops.runner.record import StageRecord
from llmops.runner.run_log import RunLog
from llmops.store.atomic import write_json
from llmops.store.paths import ProjectPaths
from tests.conftest import Llmops
from tests.fast.models_on_disk import write_full


def step(number: int, **more: Any) -> dict[str, Any]:
    """A line of LLaMA-Factory's trainer_log.jsonl."""
    figures = {"loss": 2.0, "lr": 1e-3, "epoch": number / 10, "elapsed_time": "0:00:05"}
    return {"current_steps": number, "total_steps": 20, **figures, **more}


EVALUATED = {"current_steps": 2, "total_steps": 20, "eval_loss": 1.5, "epoch": 0.2}


class Run:
    """A run in the middle of its stage `sft`, as llmops and the engine write it."""

    def __init__(self, root: Path) -> None:
        self.paths = ProjectPaths(root)
        stages = [StageRecord(name=name, kind="train") for name in ("cpt", "sft")]
        self.log = RunLog.begin(self.paths, "p", "p.yaml", [], stages)
        self.id = self.log.record.id
        planned = [{"stage": "cpt", "needs": []}, {"stage": "sft", "needs": ["cpt"]}]
        write_json(self.log.paths.plan, {"stages": planned})
        self.log.stage("cpt", "reused", output="town:v1")
        self.log.stage("sft", "running", attempt=1)
        self.attempt = self.log.paths.attempt("sft", 1)
        self.attempt.output.mkdir(parents=True)

    def writes(self, *lines: dict[str, Any], said: str = "") -> None:
        with (self.attempt.output / "trainer_log.jsonl").open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(line) + "\n" for line in lines)
        with self.attempt.log.open("a", encoding="utf-8") as file:
            file.write(said)

    def metrics(self, after: int | None = None) -> dict[str, Any]:
        return metrics(self.paths, self.id, "sft", after)


@pytest.fixture
def run(project: Path) -> Run:
    return Run(project)


def test_figures_come_by_step(run: Run) -> None:
    run.writes(step(1), step(2, accuracy=0.5, throughput=100.0))
    found = run.metrics()
    assert [item["step"] for item in found["items"]] == [1, 2]
    assert found["items"][1] == {
        "step": 2,
        "total": 20,
        "loss": 2.0,
        "learning_rate": 1e-3,
        "tokens_per_s": 100.0,
        "accuracy": 0.5,
        "eval_loss": None,
        "elapsed_s": 5.0,
        "epoch": 0.2,
        **dict.fromkeys(("grad_norm", "margin", "chosen", "memory_bytes", "device_memory_bytes")),
    }
    assert (found["total"], found["finished"]) == (20, False)


def test_a_figure_that_is_no_number_is_none(run: Run) -> None:
    run.writes(step(1, loss=math.nan), step(2, loss=math.inf))
    assert [item["loss"] for item in run.metrics()["items"]] == [None, None]


def test_what_went_wrong_is_known_of_any_run(run: Run) -> None:
    run.attempt.phases.write_text('{"warning": "another template"}\n', encoding="utf-8")
    run.writes(step(1), step(2, loss=math.nan))
    assert warnings(run.paths, run.id) == [
        "sft: another template",
        "sft: step 2: instability: the loss is nan",
    ]


def test_of_what_was_ended_early_it_is_told_where_and_what_was_kept(
    run: Run, llmops: Llmops
) -> None:
    lineage = Lineage(stopped="training stopped at step 7 of 20: overfitting; step 4 is the best")
    draft = Draft(name="town", kind="full", stage="sft", lineage=lineage)
    made = Registry(run.paths).add(draft, write_full(run.paths.root / "model", 1))
    run.log.stage("cpt", "reused", output=str(made.id))
    told = f"cpt: {lineage.stopped}"
    assert warnings(run.paths, run.id) == [told]
    shown = llmops("runs", "show", "last", "--json")
    assert json.loads(shown.stdout)["warnings"] == [told]
    run.log.record.overrides.append(f"args.{'very.' * 30}long=1")
    run.log.end("done")
    lines = llmops("runs", "show", "last").stdout.splitlines()
    assert "long=1)" in lines[0]  # the title is no narrower than it is


def test_before_the_first_run_there_is_no_table(llmops: Llmops) -> None:
    done = llmops("runs", "list")
    assert (done.stdout, "there are no runs yet" in done.stderr) == ("", True)


def test_a_record_that_cannot_be_read_is_not_the_last_run(run: Run, llmops: Llmops) -> None:
    broken = run.paths.run("99991231-000000-town").record
    broken.parent.mkdir()
    broken.write_text("{", encoding="utf-8")
    shown = llmops("runs", "show", "last", "--json")
    assert json.loads(shown.stdout)["id"] == run.id


def test_an_evaluation_joins_the_step_that_it_is_of(run: Run) -> None:
    run.writes(step(2, loss=1.9), EVALUATED)
    (item,) = run.metrics()["items"]
    assert (item["loss"], item["eval_loss"]) == (1.9, 1.5)


def test_an_evaluation_has_no_loss_of_training(run: Run) -> None:
    run.writes(step(1), EVALUATED)
    assert [item["loss"] for item in run.metrics()["items"]] == [2.0, None]


def test_only_later_steps_and_late_evaluations(run: Run) -> None:
    run.writes(step(1), step(2))
    assert run.metrics(2)["items"] == []
    run.writes(EVALUATED, step(3))
    assert [item["step"] for item in run.metrics(2)["items"]] == [2, 3]


def test_a_stage_that_ran_nothing_has_no_figures(run: Run) -> None:
    none = {"items": [], "total": 0, "finished": True}
    assert metrics(run.paths, run.id, "cpt") == none
    assert log(run.paths, run.id, "cpt") == {"text": "", "offset": 0, "size": 0}


def test_an_unknown_stage_is_bad_input(run: Run) -> None:
    with pytest.raises(BadInput, match="no stage `stf`") as caught:
        metrics(run.paths, run.id, "stf")
    assert "sft" in caught.value.fix


def test_a_log_is_read_in_parts(run: Run) -> None:
    run.writes(said="one\n")
    first = log(run.paths, run.id, "sft")
    run.writes(said="two\n")
    assert log(run.paths, run.id, "sft", first["offset"])["text"] == "two\n"
    assert log(run.paths, run.id, "sft", -4) == {"text": "two\n", "offset": 8, "size": 8}


def test_a_part_ends_and_begins_with_whole_characters(run: Run) -> None:
    run.attempt.log.write_bytes("aü€".encode()[:-1])
    part = log(run.paths, run.id, "sft")
    assert part == {"text": "aü", "offset": 3, "size": 5}
    run.attempt.log.write_bytes("aü€".encode())
    assert log(run.paths, run.id, "sft", part["offset"])["text"] == "€"
    assert log(run.paths, run.id, "sft", -4)["text"] == "€"


def test_the_graph_has_what_needs_what(run: Run) -> None:
    found = graph(run.paths, run.id)
    assert [(node["name"], node["state"]) for node in found["nodes"]] == [
        ("cpt", "reused"),
        ("sft", "running"),
    ]
    assert found["edges"] == [["cpt", "sft"]]


def told(found: list[Change]) -> list[str]:
    return [change.event for change in found]


def test_a_watch_tells_how_things_are_and_then_what_changes(run: Run) -> None:
    run.writes(step(1), said="hello\n")
    watch = Watch(run.paths, run.id)
    assert told(watch.poll()) == ["stage", "stage", "metrics", "log"]
    assert watch.poll() == []
    run.writes(step(2))
    (change,) = watch.poll()
    assert [item["step"] for item in change.data["items"]] == [2]


def test_an_alarm_is_told_once_and_each_attempt_has_its_own(run: Run) -> None:
    watch = Watch(run.paths, run.id)
    watch.poll()
    run.log.alarm("sft", Alarm("overfitting", 12, "it rose"), "stop")
    (told,) = watch.poll()
    assert told.event == "alarm"
    assert {key: told.data[key] for key in ("stage", "kind", "step", "text", "reaction")} == {
        "stage": "sft",
        "kind": "overfitting",
        "step": 12,
        "text": "it rose",
        "reaction": "stop",
    }
    assert watch.poll() == []
    assert [one.event for one in Watch(run.paths, run.id).poll()].count("alarm") == 1
    run.log.stage("sft", "running", attempt=2, alarms=[])
    run.log.alarm("sft", Alarm("overfitting", 3, "again"), "warn")
    assert [one.data["step"] for one in watch.poll() if one.event == "alarm"] == [3]


def test_who_comes_back_is_told_what_was_missed(run: Run) -> None:
    run.writes(step(1), said="one\n")
    seen = Watch(run.paths, run.id).poll()[-1].id
    run.writes(step(2), said="two\n")
    figures, said = Watch(run.paths, run.id, seen).poll()[2:]
    assert [item["step"] for item in figures.data["items"]] == [2]
    assert said.data["text"] == "two\n"


def test_of_a_long_log_its_end_is_told_first(run: Run) -> None:
    run.writes(said="x" * 100_000)
    (part,) = [one for one in Watch(run.paths, run.id).poll() if one.event == "log"]
    assert (len(part.data["text"]), part.data["size"]) == (16_384, 100_000)


def test_the_end_comes_after_the_last_words(run: Run) -> None:
    async def all_changes() -> list[str]:
        found = changes(run.paths, run.id)
        return [change.event async for change in found if change is not None]

    run.writes(step(1), said="bye\n")
    run.log.stage("sft", "done", output="town:v2")
    run.log.end("done")
    assert asyncio.run(all_changes()) == ["stage", "stage", "metrics", "log", "end"]
