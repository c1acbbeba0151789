"""From which checkpoint an attempt goes on, over all attempts at the same thing."""

import contextlib
import os
import shutil
from pathlib import Path
from typing import Any, cast

import pytest

from llmops.engines.contract import Progress
from llmops.engines.llamafactory.engine import LlamaFactory
from llmops.errors import Failed
from llmops.runner.stage import Attempt, Context
from llmops.spec.settings import load_settings
from llmops.stages import sealing
from llmops.stages.history import checkpoint_of, finished_before
from llmops.store.atomic import write_json
from llmops.store.run_paths import AttemptPaths
from tests.fast.test_checkpoint import checkpoint
from tests.waiting import until


@pytest.fixture
def context(project: Path) -> Context:
    return Context(load_settings())


def attempt(context: Context, run: str, *steps: int, number: int = 1) -> AttemptPaths:
    """At the one thing that is made here, with checkpoints of these steps."""
    paths = context.paths.run(run).attempt("sft", number)
    write_json(paths.record, {"fingerprint": "f" * 64})
    for step in steps:
        checkpoint(paths, step)
    return paths


def goes_on(context: Context, *, forced: bool = False) -> tuple[Path | None, list[str]]:
    """From where, and what was said."""
    said: list[Progress] = []
    paths = attempt(context, "now", number=2)
    node = cast(Any, None)
    found = checkpoint_of(
        LlamaFactory(), Attempt("now", node, 2, paths, said.append, forced), context
    )
    return found, [one.warning or one.phase for one in said]


def test_the_furthest_of_all_attempts(context: Context) -> None:
    attempt(context, "a", 10, 30)
    attempt(context, "b", 20)
    folder, said = goes_on(context)
    assert folder is not None
    assert folder.name == "checkpoint-30"
    assert said == ["reading checkpoint-30", "going on from step 30 of an earlier attempt"]


def test_a_forced_run_goes_on_from_its_own_attempts_alone(context: Context) -> None:
    attempt(context, "a", 10)
    assert goes_on(context, forced=True) == (None, [])
    own = attempt(context, "now", 5)
    assert goes_on(context, forced=True)[0] == own.output / "checkpoint-5"


def test_what_is_damaged_is_passed_over_by_name(context: Context) -> None:
    first, second = attempt(context, "a", 10), attempt(context, "b", 20)
    (second.output / "checkpoint-20" / "optimizer.pt").unlink()
    folder, said = goes_on(context)
    assert folder == first.output / "checkpoint-10"
    assert said[1].endswith("b/sft/1/output/checkpoint-20 is passed over: optimizer.pt is missing")
    (first.output / "checkpoint-10" / "scheduler.pt").write_bytes(b"x")
    folder, said = goes_on(context)
    assert folder is None
    assert said[3].endswith("checkpoint-10 is passed over: scheduler.pt is cut off")


def test_what_came_to_its_end_is_taken_as_it_is(context: Context) -> None:
    paths = attempt(context, "a", 20)
    assert taken(context) is None
    finish(paths)
    made = taken(context)
    assert made is not None
    assert (made.run, made.number, made.paths) == ("a", 1, paths)
    assert taken(context, forced=True) is None
    (paths.result / "adapter_model.safetensors").unlink()
    assert taken(context) is None


def finish(paths: AttemptPaths) -> None:
    """It trained to its last step, and its worker did all that it had to."""
    state = {"global_step": 20, "max_steps": 20}
    write_json(paths.output / "trainer_state.json", state)
    write_json(paths.result / "adapter_config.json", {"r": 16})
    shutil.copy(paths.output / "checkpoint-20" / "adapter_model.safetensors", paths.result)
    write_json(paths.golden, [])
    paths.phases.write_text('{"phase": "done"}\n', encoding="utf-8")


def taken(context: Context, *, forced: bool = False) -> Attempt | None:
    node, paths = cast(Any, None), attempt(context, "now", number=2)
    mine = Attempt("now", node, 2, paths, lambda _: None, forced)
    return finished_before(LlamaFactory(), mine, context)


def test_checkpoints_are_sealed_beside_the_engine(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sealing, "SECONDS", 0.01)
    paths = attempt(context, "a", 10)
    for file in (paths.output / "checkpoint-10").iterdir():
        os.utime(file, (0, 0))
    with sealing.sealing(LlamaFactory(), paths):
        assert until(paths.seal("checkpoint-10").exists)
        checkpoint(paths, 20)
    assert not paths.seal("checkpoint-20").exists()  # it was finished


def test_what_may_be_gone_on_with_has_its_last_checkpoint_sealed(context: Context) -> None:
    paths = attempt(context, "a", 20)
    with contextlib.suppress(Failed), sealing.sealing(LlamaFactory(), paths):
        raise Failed("it ended")
    assert paths.seal("checkpoint-20").exists()
