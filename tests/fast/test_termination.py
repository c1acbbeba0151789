"""A run that is told to end, and the garbage collector that swallows what a handler raises."""

import io
import os
import signal
import weakref
from pathlib import Path

import pytest

from llmops.errors import Interrupted, Passing
from llmops.registry.locate import Located
from llmops.runner.execute import execute
from llmops.runner.plan import make_plan
from llmops.runner.progress import PlainReporter
from llmops.runner.record import find_run
from llmops.runner.stage import Attempt, Context, Prepared, Stage
from llmops.runner.termination import heed, termination_as_interrupt
from llmops.spec.settings import load_settings
from llmops.stages.catalog import KINDS
from llmops.store.paths import ProjectPaths
from tests.fast.copying_stage import Copying, write_project


class Thing:
    """Something that a callback waits for the end of."""


def told_within_a_callback(number: signal.Signals = signal.SIGTERM) -> None:
    """The process is told to end just then: Python drops what the handler raises."""
    thing = Thing()
    reference = weakref.ref(thing, lambda _: os.kill(os.getpid(), number))
    del thing
    assert reference() is None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_being_told_to_end_raises(number: signal.Signals) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # ignored, where tests run under nohup
    try:
        with termination_as_interrupt(), pytest.raises(Interrupted, match="terminated"):
            os.kill(os.getpid(), number)
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_what_was_dropped_is_heeded_later(number: signal.Signals) -> None:
    with termination_as_interrupt():
        told_within_a_callback(number)
        with pytest.raises(Interrupted, match="terminated"):
            heed()
    heed()  # it was told to end what is over now


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_run_begins_nothing_after_it(project: Path) -> None:
    """It was told while it was planned."""
    write_project(project)
    stage, context = Copying(), Context(load_settings())
    kinds: dict[str, Stage] = {**KINDS, "train": stage}
    planned = make_plan(Path("r.yaml"), [], context=context, kinds=kinds)
    with termination_as_interrupt():
        told_within_a_callback()
        with pytest.raises(Interrupted):
            execute(planned, context=context, kinds=kinds, reporter=PlainReporter(io.StringIO()))
    assert stage.ran == []
    assert find_run(ProjectPaths(project), "last").state == "interrupted"


class Failing(Copying):
    """Fails for a cause that may pass, and the process is told to end meanwhile."""

    def execute(self, prepared: Prepared, attempt: Attempt, context: Context) -> Located:
        self.ran.append(attempt.node.name)
        told_within_a_callback()
        raise Passing("the port is in use")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_stage_is_not_tried_again_after_it(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llmops.runner.patience.BACK_OFF", 0.0)
    write_project(project)
    stage, context = Failing(), Context(load_settings())
    kinds: dict[str, Stage] = {**KINDS, "train": stage}
    planned = make_plan(Path("r.yaml"), [], context=context, kinds=kinds)
    with termination_as_interrupt(), pytest.raises(Interrupted):
        execute(planned, context=context, kinds=kinds, reporter=PlainReporter(io.StringIO()))
    assert stage.ran == ["r"]
