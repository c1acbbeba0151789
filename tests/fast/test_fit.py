"""The smallest change that fits: what is tried first, and that it really fits."""

from pathlib import Path
from typing import Any

from llmops.engines.contract import ModelFiles
from llmops.engines.llamafactory.fit import changed, smaller
from llmops.engines.llamafactory.memory import memory
from llmops.spec.load import Loaded
from llmops.spec.recipe import TrainRecipe
from tests.fast.estimated import FULL, GB, HALF, model, recipe


def proposed(
    args: dict[str, Any],
    room: float,
    *,
    gpus: int = 1,
    devices: int = 1,
    of: str = "Llama 2 7B",
    stage: str = "sft",
    lacks: tuple[str, ...] = (),
    **data: Any,
) -> dict[str, Any] | None:
    """room: GB of a GPU; lacks: packages that are not installed."""
    given = recipe(args, stage, devices, **data)

    def fits(one: Loaded[TrainRecipe]) -> bool:
        found = memory(one, ModelFiles(Path("model")), model(of), None, gpu=bool(gpus))
        return found.peak <= room * GB

    found = smaller(given, gpus, fits, lambda package: package in lacks)
    assert found is None or fits(changed(given, found))
    return found


def test_the_batch_comes_first_and_an_update_has_as_many_samples() -> None:
    found = proposed({**HALF, "gradient_accumulation_steps": 2}, 22)
    assert found is not None
    batch = found.pop("args.per_device_train_batch_size")
    assert 1 < batch < 8
    assert found == {"args.gradient_accumulation_steps": 16 // batch}


def test_layers_are_computed_again_before_samples_are_cut() -> None:
    args = {**HALF, "disable_gradient_checkpointing": True, "per_device_train_batch_size": 1}
    found = proposed(args, 20, lacks=("liger-kernel",))
    assert found == {"args.disable_gradient_checkpointing": False}


def test_what_a_later_change_makes_needless_is_taken_back() -> None:
    found = proposed({**FULL, **HALF, "per_device_train_batch_size": 1}, 20)
    assert found == {"args.finetuning_type": "lora"}


def test_a_small_card_gets_a_quantized_base() -> None:
    found = proposed({**HALF, "per_device_train_batch_size": 1}, 10)
    assert found is not None
    assert found["args.quantization_bit"] == 4
    assert "args.cutoff_len" not in found


def test_more_cards_share_what_none_of_them_holds() -> None:
    args = {**HALF, "per_device_train_batch_size": 1}
    found = proposed(args, 40, gpus=8, of="Llama 3.1 70B")
    assert found is not None
    assert found["resources.devices"] == 8
    assert "args.quantization_bit" not in found  # it is unset as it was
    zero = found["args.deepspeed"]["zero_optimization"]
    assert zero["stage"] == 3
    assert zero["stage3_gather_16bit_weights_on_model_save"]


def test_what_nothing_helps_is_not_proposed() -> None:
    assert proposed(HALF, 2) is None


def test_evaluating_less_at_once_comes_before_all() -> None:
    args = {**HALF, "enable_liger_kernel": True, "per_device_train_batch_size": 1}
    found = proposed(args, 24, of="Qwen3 8B", validation=0.1)
    assert found == {"args.per_device_eval_batch_size": 1}


def test_a_fused_loss_comes_before_layers_are_computed_again() -> None:
    args = {**HALF, "disable_gradient_checkpointing": True, "per_device_train_batch_size": 1}
    found = proposed({**args, "cutoff_len": 512}, 22, of="Qwen3 8B")
    assert found == {"args.enable_liger_kernel": True}


def test_devices_that_it_has_share_the_weights_before_it_learns_less() -> None:
    args = {**FULL, **HALF, "per_device_train_batch_size": 1, "enable_liger_kernel": True}
    found = proposed(args, 80, gpus=4, devices=4)
    assert found is not None
    assert found.keys() == {"args.deepspeed"}
    without = proposed(args, 80, gpus=4, devices=4, lacks=("deepspeed",))
    assert without is not None
    assert "args.deepspeed" not in without


def test_states_in_8_bits_come_before_lora() -> None:
    args = {**FULL, **HALF, "per_device_train_batch_size": 1}
    assert proposed(args, 90) == {"args.optim": "adamw_8bit"}
    found = proposed(args, 90, lacks=("bitsandbytes",))
    assert found == {"args.finetuning_type": "lora"}


def test_a_large_model_on_a_small_machine_is_quantized_not_sharded() -> None:
    args = {**HALF, "per_device_train_batch_size": 1}
    found = proposed(args, 80, gpus=8, of="Llama 3.1 70B")
    assert found is not None
    assert found == {"args.quantization_bit": 4}
    found = proposed(args, 80, gpus=8, of="Llama 3.1 70B", lacks=("bitsandbytes",))
    assert found is not None
    assert found["resources.devices"] == 8


def test_a_quantized_base_comes_before_a_quarter_of_each_sample() -> None:
    args = {**HALF, "per_device_train_batch_size": 1}
    found = proposed(args, 21, of="Qwen3 8B", stage="dpo")
    assert found == {"args.quantization_bit": 4}
    found = proposed(args, 21, of="Qwen3 8B", stage="dpo", lacks=("bitsandbytes",))
    assert found == {"args.cutoff_len": 512}
