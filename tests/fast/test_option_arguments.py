"""What schedules and optimizers take, read from transformers' source: signatures and look-ups."""

from pathlib import Path
from textwrap import dedent

import pytest

from llmops.engines.llamafactory.machine import Machine
from llmops.engines.llamafactory.optimizers import Optimizer, read_optimizers
from llmops.engines.llamafactory.schedules import read_schedules

SOURCE = {
    "transformers/trainer_utils.py": """
        class SchedulerType(ExplicitEnum):
            COSINE = "cosine"
            STABLE = "stable"
            PLATEAU = "plateau"
    """,
    "transformers/optimization.py": """
        from torch.optim.lr_scheduler import Plateau

        def get_cosine(optimizer, num_warmup_steps: int, num_cycles: int = 1, last_epoch=-1):
            return Lambda(optimizer)

        def get_stable(optimizer, decay: str = "cosine", end=0.1):
            if decay not in ["linear", "cosine"]:
                raise ValueError
            return Lambda(optimizer)

        def get_plateau(optimizer, **kwargs):
            return Plateau(optimizer, **kwargs)

        TABLE = {
            SchedulerType.COSINE: get_cosine,
            SchedulerType.STABLE: get_stable,
            SchedulerType.PLATEAU: get_plateau,
        }
    """,
    "torch/optim/lr_scheduler.py": """
        class Plateau:
            def __init__(self, optimizer, mode: Literal["min", "max"] = "min"):
                pass
    """,
    "transformers/training_args.py": """
        class OptimizerNames(ExplicitEnum):
            SGD = "sgd"
            LION = "lion"
            RANKED = "ranked"
            XLA = "xla"
    """,
    "transformers/trainer_optimizer.py": """
        def _sgd(ctx):
            if ctx.optim_args:
                for key in ("momentum", "dampening"):
                    if key in ctx.optim_args:
                        kwargs[key] = float(ctx.optim_args[key])
                if "nesterov" in ctx.optim_args:
                    kwargs["nesterov"] = ctx.optim_args["nesterov"].lower() == "true"
            return torch.optim.SGD, kwargs

        def _lion(ctx):
            from bitsandbytes.optim import Lion
            return Lion, ctx.optim_args

        def _ranked(ctx):
            from torch.optim import AdamW
            return AdamW, {"rank": int(ctx.optim_args.pop("rank", 128))}

        def _xla(ctx):
            from torch_xla.amp.syncfree import AdamW
            return AdamW, {}

        MANY = [OptimizerNames.LION]
        HANDLERS: dict[str, Handler] = {
            OptimizerNames.SGD: _sgd,
            OptimizerNames.RANKED: _ranked,
            OptimizerNames.XLA: _xla,
            **dict.fromkeys(MANY, _lion),
        }
    """,
}


@pytest.fixture
def site(tmp_path: Path) -> Path:
    for name, text in SOURCE.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(dedent(text), encoding="utf-8")
    return tmp_path


def test_a_schedule_takes_what_the_engine_does_not_hand_over(site: Path) -> None:
    (option,) = read_schedules(site)["cosine"]
    assert (option.name, option.types, option.default) == ("num_cycles", ("float",), 1)


def test_words_that_a_schedule_compares_with(site: Path) -> None:
    decay, end = read_schedules(site)["stable"]
    assert (decay.choices, end.types) == (("linear", "cosine"), ("float",))


def test_a_schedule_that_passes_its_keywords_on(site: Path) -> None:
    (mode,) = read_schedules(site)["plateau"]
    assert (mode.name, mode.choices) == ("mode", ("min", "max"))


def test_what_is_passed_on_to_a_class_that_is_not_there_is_not_known(site: Path) -> None:
    (site / "torch/optim/lr_scheduler.py").unlink()
    assert "plateau" not in read_schedules(site)


def test_an_optimizer_takes_what_it_looks_up(site: Path) -> None:
    assert read_optimizers(site) == {
        "sgd": Optimizer({"momentum": "float", "dampening": "float", "nesterov": "str"}),
        "ranked": Optimizer({"rank": "int"}),
        "xla": Optimizer({}, "torch_xla"),
        "lion": Optimizer(None, "bitsandbytes"),
    }


@pytest.mark.parametrize("read", [read_schedules, read_optimizers])
def test_another_layout_has_none(read: object, tmp_path: Path) -> None:
    assert callable(read)
    assert read(tmp_path) == {}


@pytest.mark.parametrize("there", ["galore_torch-1.0.dist-info", "galore_torch", "galore_torch.py"])
def test_a_package_by_its_distribution_or_its_module(there: str, tmp_path: Path) -> None:
    for name in ("torch", there):
        (tmp_path / name).mkdir()
    machine = Machine(1, (), tmp_path)
    assert [machine.lacks(name) for name in ("galore-torch", "galore_torch", "apex")] == [
        False,
        False,
        True,
    ]
