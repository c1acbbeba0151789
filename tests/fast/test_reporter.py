"""What a run shows as it goes, on a terminal and without one."""

import io
import os
from dataclasses import replace

import pytest

from llmops.engines.contract import Progress
from llmops.runner.progress import (
    PlainReporter,
    Reporter,
    RichReporter,
    figures,
    reporter,
    seconds,
    steps,
)
from llmops.store import logs

STEP = Progress("training", 20, 100, loss=1.25, learning_rate=1e-3, tokens_per_s=4321.0)


def told(kind: type[PlainReporter] | type[RichReporter]) -> str:
    """A run of two stages, one of which is up to date and one of which fails."""
    stream = io.StringIO()
    reporter: Reporter = kind(stream)
    reporter.begin("r1", ["cpt", "sft"])
    reporter.reused("cpt", "town:v1")
    reporter.started("sft", "sft full [8 samples]", ["never run"])
    reporter.progress("sft", Progress("starting"))
    reporter.progress("sft", STEP)
    reporter.failed("sft", "out of memory")
    reporter.end()
    return stream.getvalue()


def test_plain_lines_name_stage_and_position() -> None:
    lines = told(PlainReporter).splitlines()
    assert lines[1] == "[1/2] cpt: up to date: town:v1"
    assert "[2/2] sft: starting" in lines
    assert lines[-1] == "[2/2] sft: failed: out of memory"
    assert any("training step 20/100 loss 1.2500" in line for line in lines)


def test_work_that_is_counted_shows_how_far_it_is() -> None:
    for kind in (PlainReporter, RichReporter):
        stream = io.StringIO()
        reporter: Reporter = kind(stream)
        reporter.begin("r1", ["traffic"])
        reporter.progress("traffic", Progress("visits", 120, 1500))
        reporter.end()
        assert "visits 120/1,500" in stream.getvalue()


def test_what_is_shown_is_no_markup() -> None:
    stream = io.StringIO()
    live = RichReporter(stream)
    live.begin("r1", ["sft"])
    live.started("sft", "data [bold].jsonl", [])
    live.end()
    assert "data [bold].jsonl" in stream.getvalue()


def test_that_it_is_through_is_told_with_what_was_made() -> None:
    stream = io.StringIO()
    reporter = PlainReporter(stream)
    reporter.begin("r1", ["sft"])
    reporter.started("sft", "sft full", [])
    reporter.progress("sft", Progress("done"))
    reporter.done("sft", "town:v1")
    (told,) = stream.getvalue().splitlines()[2:]
    assert told.startswith("[1/1] sft: done: town:v1 in ")


def test_lines_do_not_come_faster_than_anyone_reads() -> None:
    stream = io.StringIO()
    reporter = PlainReporter(stream)
    reporter.begin("r1", ["sft"])
    for _ in range(50):
        reporter.progress("sft", STEP)
    assert stream.getvalue().count("training") == 1


def test_the_last_step_is_always_told() -> None:
    stream = io.StringIO()
    reporter = PlainReporter(stream)
    reporter.begin("r1", ["sft"])
    reporter.progress("sft", STEP)
    reporter.progress("sft", Progress("training", 100, 100, loss=0.5, learning_rate=1e-9))
    assert "step 100/100 loss 0.5" in stream.getvalue()
    reporter.progress("sft", Progress("training", 100, 100, loss=0.5))  # the engine's last word
    assert stream.getvalue().count("100/100") == 1


def test_the_live_display_shows_each_stage() -> None:
    text = told(RichReporter)
    assert "up to date: town:v1" in text
    assert "failed: out of memory" in text


def test_only_figures_that_tell_whether_it_learns_are_shown() -> None:
    progress = Progress("training", 1, 2, loss=0.5, values={"accuracy": 0.75, "epoch": 3.0})
    assert figures(progress) == "loss 0.5000 accuracy 0.75"


def test_memory_is_the_device_s_where_there_is_one() -> None:
    taken = {"memory_bytes": 2.5e9}
    assert figures(Progress("training", values=taken)) == "2.5 GB"
    taken["device_memory_bytes"] = 7.5e9
    assert figures(Progress("training", values=taken)) == "7.5 GB"


def test_what_matters_most_comes_first() -> None:
    reading = replace(STEP, remaining_s=36000.0, values={"eval_loss": 1.5, "memory_bytes": 6e8})
    assert steps(reading) == (
        "20/100 10:00:00 left loss 1.2500 eval_loss 1.5 4,321 tokens/s 600.0 MB lr 1.0e-03"
    )


@pytest.mark.parametrize(("columns", "bar"), [(60, False), (120, True)])
def test_a_narrow_terminal_has_figures_instead_of_a_bar(
    columns: int, bar: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    text = told(RichReporter)
    assert ("\N{BOX DRAWINGS HEAVY HORIZONTAL}" in text) is bar
    assert "failed: out of memory" in text


def test_seconds_read_as_a_clock() -> None:
    assert seconds(75.2) == "1:15"
    assert seconds(7275) == "2:01:15"
    assert seconds(None) == ""


def test_a_warning_stays_on_the_screen() -> None:
    for kind in (PlainReporter, RichReporter):
        stream = io.StringIO()
        reporter: Reporter = kind(stream)
        reporter.begin("r1", ["sft"])
        reporter.progress("sft", Progress("starting", warning="other tokens [22]"))
        reporter.end()
        assert "sft: warning: other tokens [22]" in stream.getvalue()


@pytest.mark.parametrize("format", ["text", "json"])
def test_what_nobody_hears_any_more_ends_no_run(
    format: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(logs.FORMAT, format)
    hears, says = os.pipe()
    os.close(hears)
    stream = os.fdopen(says, "w", buffering=1)
    shown = reporter(stream)
    shown.begin("r1", ["sft"])
    shown.progress("sft", STEP)
    shown.end()
    with pytest.raises(BrokenPipeError):
        stream.close()
