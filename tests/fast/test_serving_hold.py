"""Who gets the device that servers use, by their states and holds alone: no server runs here. In
test_serving_swap.py the servers do."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from llmops.errors import BadInput
from llmops.runner.plan import make_plan
from llmops.runner.stage import Attempt, Context
from llmops.serving import hold
from llmops.spec.settings import load_settings
from llmops.stages.catalog import KINDS
from llmops.stages.train import Train
from tests.fast.copying_stage import RECIPE, tiny_model
from tests.fast.served_state import serve
from tests.waiting import until


def test_servers_of_others_are_not_in_the_way(project: Path) -> None:
    with pytest.raises(BadInput, match="deployment `town` is served"):
        hold.refuse("refuse", serve(project), stage="dpo", where="")
    hold.refuse("refuse", serve(project, own=False), stage="dpo", where="")


def test_the_device_has_one_holder_at_a_time(project: Path) -> None:
    paths = serve(project, status="held")
    together = Barrier(4)
    said: list[str] = []

    def use(name: str) -> str:
        together.wait()
        with hold.holding("stop", paths, said.append, why=name):
            until(lambda: sum("which holds" in line for line in said) == 3)  # the others wait
            held = hold.current(paths.deployment("town"))
            return held.why if held is not None else "nobody"

    names = ["a", "b", "c", "d"]
    with ThreadPoolExecutor() as four:
        assert list(four.map(use, names)) == names


def test_who_waits_for_the_device_is_told_what_holds_it(project: Path) -> None:
    paths = serve(project, status="held")
    said: list[str] = []

    def wait() -> None:
        with hold.holding("stop", paths, said.append):
            pass

    with (
        ThreadPoolExecutor() as other,
        hold.holding("stop", paths, said.append, why="stage sft of run r1"),
    ):
        other.submit(wait)
        until(lambda: [line for line in said if "stage sft of run r1" in line])


def test_a_training_asks_again_before_it_starts(project: Path) -> None:
    tiny_model(project / "seed", "seed")
    said = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    (project / "a.jsonl").write_text(json.dumps({"messages": said}))
    (project / "r.yaml").write_text(RECIPE + "resources: {while_serving: refuse}\n")
    context = Context(load_settings())
    [stage] = make_plan(project / "r.yaml", [], context=context, kinds=KINDS).stages
    attempt = Attempt("r1", stage.node, 1, context.paths.run("r1").attempt("r", 1), print)
    serve(project)
    with pytest.raises(BadInput, match=r"r.yaml:7: .*stage r does not run while"):
        Train().execute(stage.prepared, attempt, context)
