"""The report of a run: what is on the page, and what it advises."""

import math
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from llmops.registry.manifest import DataUsed, Draft, Lineage, Manifest, VersionId
from llmops.registry.store import Registry
from llmops.report import picture
from llmops.report.advice import advice
from llmops.report.page import report
from llmops.report.trained import Trained
from llmops.runner.alarm import Alarm
from tests.conftest import run_llmops
from tests.fast.models_on_disk import write_full
from tests.fast.test_observe import Run, step


def made(
    run: Run, fill: int, *, recipe: str = "sft.yaml", stopped: str = "", **metrics: float
) -> str:
    """A version of `town` by the recipe, and its name."""
    data = [DataUsed(path="data/town.jsonl", sha256="ab" * 32, samples=3456)]
    lineage = Lineage(
        run=run.id,
        recipe=recipe,
        data=data,
        stopped=stopped,
        resolved={"args": {"learning_rate": 1e-3}},
    )
    draft = Draft(
        name="town", kind="full", stage="sft", metrics=metrics, lineage=lineage,
        parts={"args.learning_rate": str(fill)},
    )  # fmt: skip
    source = write_full(run.paths.root / f"source-{fill}", fill)
    return str(Registry(run.paths).add(draft, source).id)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run that trained for 20 steps, overfitted, and made the second version of its recipe."""
    found = Run(tmp_path)
    for at in range(1, 21):
        lines = [step(at, loss=3 * 0.9**at)]
        if at % 2 == 0:
            lines.append({"current_steps": at, "total_steps": 20, "eval_loss": 1 + abs(at - 8) / 9})
        found.writes(*lines)
    made(found, 1, eval_loss=2.5)
    found.log.stage("sft", "done", output=made(found, 2, eval_loss=2.25))
    found.log.end("done")
    return found


def page(run: Run) -> str:
    return report(run.paths, run.log.record)


def words(html: str) -> str:
    found: list[str] = []
    parser = HTMLParser()
    parser.handle_data = found.append  # type: ignore[method-assign]
    parser.feed(html)
    return " ".join(" ".join(found).split())


def test_the_best_checkpoint_is_named_and_marked(run: Run) -> None:
    assert "lowest validation loss 1 at step 8" in words(page(run))
    assert "best, step 8: 1" in words(page(run))


def test_what_the_watch_saw_and_what_to_try(run: Run) -> None:
    told = words(page(run))
    assert "step 14: overfitting: validation loss rose from 1 at step 8 to 1.67" in told
    assert "<code>max_steps: 8</code>) or more data" in page(run)


def test_why_it_failed_what_it_took_and_where_it_was_stopped(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.attempt.figures.write_text('{"step": 1, "memory_bytes": 2500000000}\n', encoding="utf-8")
    run.writes(step(1), step(2))
    run.log.stage("sft", "failed", error="out of paper")
    html = page(run)
    assert '<p class="bad">out of paper</p>' in html
    assert "2 of 20 steps; at most 2.5 GB of memory" in words(html)
    run.log.stage("sft", "done", output=made(run, 1, stopped="training stopped at step 2 of 20"))
    assert "training stopped at step 2 of 20; at most" in words(page(run))


def test_the_version_before_is_the_last_of_the_same_recipe(run: Run) -> None:
    made(run, 3, recipe="other.yaml")
    run.log.stage("sft", "done", output=made(run, 4))
    told = words(page(run))
    assert "Against town:v2" in told


def test_a_loss_that_is_no_number_leaves_its_place_on_the_axis(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.writes(step(1), step(2), *(step(at, loss=math.nan) for at in range(3, 12)))
    run.attempt.figures.write_text('{"step": 1, "grad_norm": 0.5}\n', encoding="utf-8")
    run.log.stage("sft", "failed", error="diverged")
    assert words(page(run)).count("step 11") == 3  # of loss, gradients and learning rate


def test_inputs_output_and_the_version_before(run: Run) -> None:
    told = words(page(run))
    assert "data/town.jsonl, 3,456 samples, sha256 abababababab" in told
    assert "Against town:v1" in told
    assert "Changed since: args.learning_rate." in told
    assert "eval_loss 2.25 2.5 -0.25" in told


def test_it_stands_alone_in_light_and_dark(run: Run) -> None:
    html = page(run)
    assert not re.search(r"<(script|link|img)|https?://|@import|url\(", html)
    assert "prefers-color-scheme: dark" in html


def test_what_others_wrote_is_inert(run: Run) -> None:
    run.log.stage("sft", "failed", error="<script>alert(1)</script>")
    assert "<script" not in page(run)


def test_a_run_that_trained_nothing_has_a_page(tmp_path: Path) -> None:
    assert "cpt" in words(page(Run(tmp_path)))


def test_the_command_writes_it(run: Run, tmp_path: Path) -> None:
    done = run_llmops("runs", "report", "last", "-o", "r.html", cwd=tmp_path)
    assert done.stdout == "r.html\n"
    assert (tmp_path / "r.html").read_text().startswith("<!doctype html>")


def test_a_place_that_cannot_be_written_is_named(run: Run, tmp_path: Path) -> None:
    (tmp_path / "r.html").mkdir()
    done = run_llmops("runs", "report", "last", "-o", "r.html", cwd=tmp_path)
    assert done.returncode == 2
    assert "error: r.html cannot be written: Is a directory" in done.stderr


def test_without_a_browser_the_page_is_written_and_the_picture_refused(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    done = run_llmops("runs", "report", "last", "-o", "r.html", "--png", cwd=tmp_path)
    assert done.returncode == 2
    assert "needs Chromium or Chrome" in done.stderr
    assert (tmp_path / "r.html").exists()


def test_a_picture_is_not_mostly_empty(run: Run, tmp_path: Path) -> None:
    high = picture._height(page(run))
    lines = '<line x1="0"/><polyline points="0,0"/>' * 100
    assert picture._height(page(run).replace("</svg>", f"{lines}</svg>")) == high


def test_a_browser_that_fails_makes_no_picture(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "chromium").symlink_to("/bin/false")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    done = run_llmops("runs", "report", "last", "-o", "r.html", "--png", cwd=tmp_path)
    assert done.returncode == 1
    assert "chromium made no picture" in done.stderr


@pytest.mark.skipif(shutil.which("chromium") is None, reason="Chromium is not installed")
def test_the_picture_is_a_png(run: Run, tmp_path: Path) -> None:
    done = run_llmops("runs", "report", "last", "-o", "r.html", "--png", cwd=tmp_path)
    assert done.stdout.split() == ["r.html", "r.png"], done.stderr
    assert (tmp_path / "r.png").read_bytes().startswith(b"\x89PNG")


ITEMS = [{"step": 1, "loss": 1.0, "eval_loss": 1.0, "learning_rate": 3e-3}]


@pytest.fixture
def registered(tmp_path: Path) -> Manifest:
    """What a training made."""
    run = Run(tmp_path)
    return Registry(run.paths).get(VersionId.parse(made(run, 1)))


def lined(version: Manifest, **lineage: Any) -> Manifest:
    """The same with another lineage."""
    return version.model_copy(update={"lineage": version.lineage.model_copy(update=lineage)})


def trained(
    items: list[dict[str, Any]], *alarms: Alarm, version: Manifest | None = None
) -> Trained:
    return Trained(False, items, len(items), alarms, [], version, None)


def advised(items: list[dict[str, Any]], *kinds: str, version: Manifest | None = None) -> list[str]:
    seen = [Alarm(kind, 1, "it is seen") for kind in kinds]
    return [one.what for one in advice(trained(items, *seen, version=version))]


def series(name: str, *values: float, **more: float) -> list[dict[str, Any]]:
    return [{"step": at, name: value, **more} for at, value in enumerate(values, 1)]


FALLS = [3 - at / 10 for at in range(20)]


def test_a_validation_loss_that_still_falls_wants_more_steps(registered: Manifest) -> None:
    assert advised(series("eval_loss", *FALLS), version=registered) == ["more steps"]
    assert advised(series("eval_loss", 4.0, 3.0, 2.0, 1.5), version=registered) == ["more steps"]
    assert advised(series("eval_loss", *[1.0] * 20), version=registered) == []
    assert advised(series("eval_loss", *FALLS)) == []  # nothing was made of it


def test_a_loss_of_training_says_so_only_of_samples_that_are_new(registered: Manifest) -> None:
    assert "more steps" in advised(series("loss", *FALLS, epoch=1.0), version=registered)
    assert "more steps" not in advised(series("loss", *FALLS, epoch=1.1), version=registered)
    assert "more steps" not in advised(series("loss", *FALLS), version=registered)


def test_margins_that_grow_on_learned_pairs_want_no_more_steps(registered: Manifest) -> None:
    assert advised(series("eval_loss", *FALLS, accuracy=1.0), version=registered) == []
    assert advised(series("eval_loss", *FALLS, accuracy=0.8), version=registered) == ["more steps"]


def test_who_holds_nothing_out_is_told_to() -> None:
    assert "data.validation" in advised([{"step": 1, "loss": 1.0}])[-1]
    assert advised([{"step": 1, "loss": 1.0}], "another") == []  # there is worse to see to


def test_the_last_step_may_not_be_the_best(registered: Manifest) -> None:
    items = series("eval_loss", 2.0, 1.0, 1.2)
    (told,) = advised(items, version=registered)
    assert told.startswith("`load_best_model_at_end: true`")
    assert advised(items) == []  # nothing was registered
    assert advised(series("eval_loss", 2.0, 1.0, 1.2, 1.01), version=registered) == []
    best = lined(registered, resolved={"args": {"load_best_model_at_end": True}})
    assert advised(items, version=best) == []


def test_a_reward_model_is_told_what_it_can_do(registered: Manifest) -> None:
    reward = registered.model_copy(update={"stage": "rm"})
    (told,) = advised(series("eval_loss", 2.0, 1.0, 1.2), version=reward)
    assert told.startswith("`max_steps: 2`")
    assert "watch" not in advised(ITEMS, "overfitting", version=reward)[0]


def test_what_was_stopped_at_its_best_is_not_told_to_stop(registered: Manifest) -> None:
    stopped = lined(registered, stopped="training stopped at step 7 of 20")
    (told,) = advised(ITEMS, "overfitting", version=stopped)
    assert told.startswith("more data, or other")
    assert advised(ITEMS, "overfitting")[0].startswith("fewer steps (`max_steps: 1`)")


def test_the_rate_is_that_of_when_it_began() -> None:
    rates = series("learning_rate", *(at * 1e-3 for at in range(1, 11)))
    (told,) = advice(trained(rates, Alarm("instability", 5, "the loss rose")))
    assert told.what.startswith("a lower `learning_rate`: 5.0e-04 to 1.7e-03, for it was 5.0e-03")
    assert told.why == "the loss rose (step 5)"


def test_a_longer_warmup_helps_only_who_fails_at_the_highest_rate() -> None:
    rates = series("learning_rate", 1e-3, 2e-3, 1e-3)
    early, late = (advice(trained(rates, Alarm("instability", at, "")))[0].what for at in (2, 3))
    assert ("`warmup_steps`" in early, "`warmup_steps`" in late) == (True, False)


def test_pairs_that_are_told_apart_want_a_higher_rate_and_others_a_look() -> None:
    apart = series("accuracy", *[1.0] * 8, learning_rate=1e-8)
    assert advised(apart, "no_preference")[0].startswith("a higher `learning_rate` than 1.0e-08")
    chance = series("accuracy", *[0.5] * 8)
    assert advised(chance, "no_preference")[0].startswith("look at the pairs")


def test_what_is_set_already_is_not_advised(registered: Manifest) -> None:
    held = lined(registered, resolved={"args": {"pref_ftx": 0.5}})
    assert "pref_ftx" in advised(ITEMS, "collapse", version=registered)[0]
    assert "pref_ftx" not in advised(ITEMS, "collapse", version=held)[0]


@pytest.mark.parametrize("kind", ["instability", "no_preference", "collapse"])
def test_each_alarm_has_its_advice(kind: str) -> None:
    assert len(advised(ITEMS, kind)) == 1
