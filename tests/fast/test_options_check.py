"""Options that do not fit are refused with file, line, key and what to write instead."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from llmops.engines.llamafactory.chaining import check_chain
from llmops.engines.llamafactory.checks import check_options
from llmops.engines.llamafactory.machine import Machine
from llmops.engines.llamafactory.optimizers import Optimizer
from llmops.engines.llamafactory.options import OptionSet
from llmops.engines.llamafactory.owned import OWNED
from llmops.engines.llamafactory.signatures import Option
from llmops.errors import BadInput
from llmops.spec.load import Loaded, load_recipe
from llmops.spec.recipe import TrainRecipe
from tests.training_jobs import train_recipe

TYPES: dict[str, tuple[str, ...]] = {
    "lora_rank": ("int",),
    "learning_rate": ("float",),
    "lora_target": ("str",),
    "quantization_bit": ("int", "None"),
    "max_steps": ("int",),
    "warmup_ratio": ("float", "None"),
    **dict.fromkeys(("fsdp_config", "accelerator_config"), ("dict", "str", "None")),
    **dict.fromkeys(("optim", "optim_args"), ("str", "None")),
    **dict.fromkeys(("mix_strategy", "interleave_probs"), ("str", "None")),
    **dict.fromkeys(
        ("lr_scheduler_kwargs", "gradient_checkpointing_kwargs"), ("dict", "str", "None")
    ),
    **dict.fromkeys(("eval_on_each_dataset", "load_best_model_at_end"), ("bool",)),
    **dict.fromkeys(
        ("lr_scheduler_type", "metric_for_best_model", "save_strategy"), ("str", "None")
    ),
    "dataloader_num_workers": ("int",),
    **dict.fromkeys(("fp16", "bf16", "packing", "neat_packing", "streaming"), ("bool",)),
    **dict.fromkeys(("use_unsloth", "use_dora", "resize_vocab"), ("bool",)),
    **dict.fromkeys(("enable_liger_kernel",), ("bool",)),
}
CHOICES: dict[str, tuple[str, ...]] = {
    "pref_loss": ("sigmoid", "hinge", "ipo", "kto_pair", "orpo", "simpo"),
    "flash_attn": ("auto", "disabled", "sdpa", "fa2", "fa3"),
    "finetuning_type": ("lora", "oft", "freeze", "full"),
    "quantization_method": ("bnb", "gptq", "hqq", "eetq"),
    "eval_strategy": ("no", "steps", "epoch"),
}
KNOWN = OptionSet(
    {
        **{n: Option(n, "x", t, joined=n == "lora_target") for n, t in TYPES.items()},
        **{n: Option(n, "x", ("str",), choices) for n, choices in CHOICES.items()},
    },
    ("qwen", "qwen3", "llama3"),
)
CPU = Machine(2)
GPU = Machine(8, ("0",))


def _check(recipe: Loaded[TrainRecipe], machine: Machine) -> None:
    check_options(recipe, KNOWN, machine)
    check_chain(recipe)


def refused(
    folder: Path, stage: str, args: dict[str, Any], machine: Machine = CPU, **more: Any
) -> BadInput:
    recipe = train_recipe(folder, stage, args, **more)
    with pytest.raises(BadInput) as caught:
        _check(recipe, machine)
    return caught.value


def accepted(
    folder: Path, stage: str, args: dict[str, Any], machine: Machine = CPU, **more: Any
) -> None:
    check_options(train_recipe(folder, stage, args, **more), KNOWN, machine)


def test_place_and_nearest_name(tmp_path: Path) -> None:
    error = refused(tmp_path, "sft", {"learnin_rate": 1e-3})
    assert error.what == "unknown option `learnin_rate`"
    assert error.where == f"{tmp_path / 'sft.yaml'}:7: args.learnin_rate"
    assert error.fix == "did you mean `learning_rate`?"


@pytest.mark.parametrize(
    ("key", "value", "what", "fix"),
    [
        ("lora_rank", "8", "expected a whole number, found '8'", "without the quotes: 8"),
        ("lora_rank", 8.0, "expected a whole number, found 8.0", ""),
        ("lora_rank", True, "expected a whole number, found True", ""),
        ("learning_rate", "1e-4", "expected a number, found '1e-4'", "quotes: 0.0001"),
        ("fp16", 1, "expected true or false, found 1", ""),
        ("fp16", "yes", "expected true or false", ""),
        ("lora_rank", None, "expected a whole number, found None", ""),
        ("fsdp_config", ["a"], "expected a mapping or text or null", ""),
        ("lora_target", [1], "expected text or a list of text", ""),
        ("flash_attn", "fa9", "`fa9` is not one of `auto`", "did you mean `fa3`?"),
    ],
)
def test_wrong_value(key: str, value: Any, what: str, fix: str, tmp_path: Path) -> None:
    error = refused(tmp_path, "sft", {key: value})
    assert what in error.what
    assert fix in error.fix


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("learning_rate", 1),
        ("quantization_bit", None),
        ("lora_target", ["q_proj", "v_proj"]),
        ("lr_scheduler_kwargs", {"a": 1}),
    ],
)
def test_right_value(key: str, value: Any, tmp_path: Path) -> None:
    accepted(tmp_path, "sft", {key: value})


@pytest.mark.parametrize("key", [*OWNED, "export_dir", "vllm_maxlen", "ray_num_workers", "ppo_x"])
def test_owned_key(key: str, tmp_path: Path) -> None:
    error = refused(tmp_path, "sft", {key: "x"})
    assert error.what == f"`{key}` is not set in a recipe"
    assert error.fix


def test_key_from_elsewhere(tmp_path: Path) -> None:
    assert "cutoff_len" in refused(tmp_path, "sft", {"max_seq_length": 64}).fix


def test_unknown_template(tmp_path: Path) -> None:
    error = refused(tmp_path, "sft", {}, template="qwen33")
    assert (error.where, error.fix) == (
        f"{tmp_path / 'sft.yaml'}:6: template",
        "did you mean `qwen3`?",
    )


def test_hqq_takes_five_bits(tmp_path: Path) -> None:
    accepted(tmp_path, "sft", {"quantization_bit": 5, "quantization_method": "hqq"}, GPU)


def test_bf16_works_without_a_gpu(tmp_path: Path) -> None:
    accepted(tmp_path, "sft", {"bf16": True})


def test_more_devices_than_there_are(tmp_path: Path) -> None:
    error = refused(tmp_path, "sft", {}, GPU, resources={"devices": 2})
    assert error.what == "2 devices, and this machine has 1"


@pytest.mark.parametrize(("shares", "told"), [("0.5,0.6", "do not sum up to 1"), ("0.5,0.5", "")])
def test_shares_of_mixed_files(tmp_path: Path, shares: str, told: str) -> None:
    args = {"mix_strategy": "interleave_under", "interleave_probs": shares}
    data = {"train": [{"path": "a.jsonl"}, {"path": "b.jsonl"}]}
    path = train_recipe(tmp_path, "sft", args).path
    text = path.read_text().replace(
        'data: {"train": [{"path": "a.jsonl"}]}', f"data: {json.dumps(data)}"
    )
    path.write_text(text)
    recipe = load_recipe(path)
    if not told:
        check_options(recipe, KNOWN, CPU)
        return
    with pytest.raises(BadInput, match=told):
        check_options(recipe, KNOWN, CPU)


@pytest.mark.parametrize(
    "args",
    [
        {"load_best_model_at_end": True, "save_strategy": "epoch"},
        {"lr_scheduler_type": "greedy"},
        {"metric_for_best_model": "loss"},
    ],
)
def test_data_sets_of_metrics_of_their_own(tmp_path: Path, args: dict[str, Any]) -> None:
    args = {**args, "eval_strategy": "epoch", "eval_on_each_dataset": True}
    error = refused(tmp_path, "sft", args, validation=[{"path": "b.jsonl"}])
    assert error.what.startswith("it measures no `loss` of all data")
    accepted(tmp_path, "sft", args, validation=0.2)


@pytest.mark.parametrize(
    ("text", "told"), [('{"use_reentrant": false}', ""), ('{"reentrant": 1}', "`reentrant`")]
)
def test_words_in_a_mapping_that_is_text(tmp_path: Path, text: str, told: str) -> None:
    args = {"gradient_checkpointing_kwargs": text}
    if told:
        assert told in refused(tmp_path, "sft", args).what
    else:
        accepted(tmp_path, "sft", args)


@pytest.mark.parametrize("key", ["lr_scheduler_kwargs", "accelerator_config"])
def test_a_name_that_is_a_number(tmp_path: Path, key: str) -> None:
    path = train_recipe(tmp_path, "sft", {key: {"x": 1}}).path
    path.write_text(path.read_text().replace('"x"', "1"))
    known = replace(KNOWN, schedules={"linear": ()})
    with pytest.raises(BadInput, match="`1`"):
        check_options(load_recipe(path), known, CPU)


def test_optimizers_of_another_layout_are_not_known(tmp_path: Path) -> None:
    accepted(tmp_path, "sft", {"optim": "sgd", "optim_args": "nesterov=true, momentum=high"})


def test_a_state_that_is_configured_elsewhere(tmp_path: Path) -> None:
    args = {"accelerator_config": {"use_configured_state": True}}
    assert "is not one of dispatch_batches" in refused(tmp_path, "sft", args).what


def test_streaming_knows_no_limit(tmp_path: Path) -> None:
    args = {"streaming": True, "max_steps": 9, "dataloader_num_workers": 1}
    error = refused(tmp_path, "sft", args, validation=[{"path": "b.jsonl", "limit": 2}])
    assert error.where.endswith("data.validation.0.limit")


def test_processes_on_a_cpu(tmp_path: Path) -> None:
    accepted(tmp_path, "sft", {}, CPU, resources={"devices": 2})


def test_full_training_may_resize(tmp_path: Path) -> None:
    args = {"finetuning_type": "full", "resize_vocab": True}
    check_chain(train_recipe(tmp_path, "sft", args))


def test_package_that_the_environment_lacks(tmp_path: Path) -> None:
    for name in ("torch-2.9.0", "liger_kernel-0.6.2"):
        (tmp_path / f"{name}.dist-info").mkdir()
    machine = Machine(2, ("0",), tmp_path)
    accepted(tmp_path, "sft", {"enable_liger_kernel": True}, machine)
    error = refused(tmp_path, "sft", {"use_unsloth": True}, machine)
    assert error.what.startswith("`use_unsloth: True` needs the package unsloth")


def test_package_of_an_optimizer(tmp_path: Path) -> None:
    (tmp_path / "torch").mkdir()
    machine, optim = Machine(2, ("0",), tmp_path), Option("optim", "x", ("str",))
    known = OptionSet({"optim": optim}, (), {}, {"lomo": Optimizer({}, "lomo_optim")})
    recipe = train_recipe(tmp_path, "sft", {"optim": "lomo"})
    with pytest.raises(BadInput, match="`optim: lomo` needs the package lomo_optim"):
        check_options(recipe, known, machine)


def test_packages_of_a_machine_that_is_only_thought_of(tmp_path: Path) -> None:
    accepted(tmp_path, "sft", {"use_unsloth": True}, GPU)
