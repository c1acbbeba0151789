"""The parts of the memory that training takes, and what makes each larger or smaller."""

from dataclasses import replace
from pathlib import Path

import pytest

from llmops.engines.contract import ModelFiles
from llmops.engines.llamafactory.memory import memory
from llmops.engines.llamafactory.weights import adapter
from tests.fast.estimated import FULL, GB, HALF, model, needed, recipe

LLAMA = model("Llama 2 7B")


def test_a_llama_has_the_parameters_that_it_has() -> None:
    assert LLAMA.parameters == pytest.approx(6.738e9, rel=1e-3)


def test_a_pair_needs_a_second_model_unless_an_adapter_can_be_switched_off() -> None:
    whole, adapter = needed({**FULL, **HALF}, "dpo"), needed(HALF, "dpo")
    assert whole.parts["reference model"] == 2 * LLAMA.parameters
    assert "reference model" not in adapter.parts
    assert "reference model" not in needed({**FULL, "pref_loss": "orpo"}, "dpo").parts


def test_gradients_take_turns_with_activations_unless_they_add_up() -> None:
    once = needed(FULL)
    twice = needed({**FULL, "gradient_accumulation_steps": 2})
    assert once.parts == twice.parts
    less = once.parts["activations"] + once.parts["logits"]
    assert twice.peak - once.peak == less


def test_checkpointing_is_on_unless_it_is_disabled() -> None:
    kept = needed({**HALF, "disable_gradient_checkpointing": True})
    assert needed(HALF).parts["activations"] < 0.1 * kept.parts["activations"]


@pytest.mark.parametrize(
    ("stage", "sharded"),
    [
        (1, {"optimizer"}),
        (2, {"optimizer", "gradients"}),
        (3, {"optimizer", "gradients", "weights"}),
    ],
)
def test_zero_shards_in_stages(stage: int, sharded: set[str]) -> None:
    config = {"stage": stage, "sub_group_size": 1e13}
    zero = {**FULL, **HALF, "deepspeed": {"zero_optimization": config}}
    one, four = needed(zero).parts, needed(zero, devices=4).parts
    assert {name for name in one if four[name] == one[name] // 4} == sharded


@pytest.mark.parametrize(
    ("optimizer", "each"), [("adamw_torch", 8), ("adamw_8bit", 2), ("adafactor", 0), ("sgd", 0)]
)
def test_optimizers_keep_what_they_keep(optimizer: str, each: int) -> None:
    found = needed({**FULL, "optim": optimizer})
    # bitsandbytes keeps those of embeddings in 32 bits.
    embedded = LLAMA.vocabulary * LLAMA.hidden * (6 if each == 2 else 0)
    assert found.parts.get("optimizer", 0) == each * LLAMA.parameters + embedded
    assert not found.unknown
    half = needed({**FULL, "optim": optimizer, "pure_bf16": True}).parts.get("optimizer", 0)
    assert half == min(each, 4 if each == 8 else 2) * LLAMA.parameters + embedded


def test_an_optimizer_of_32_bits_is_as_wide_for_weights_of_16() -> None:
    found = needed({**FULL, "optim": "paged_adamw_32bit", "pure_bf16": True})
    assert found.parts["optimizer"] == 8 * LLAMA.parameters


def test_what_is_not_known_is_said() -> None:
    found = needed({**FULL, "use_galore": True, "optim": "ademamix"})
    assert found.unknown == ("GaLore's projections", "the states of optimizer ademamix")


def test_a_fused_loss_has_no_logits_to_speak_of_but_for_pairs() -> None:
    fused = {**HALF, "enable_liger_kernel": True}
    assert needed(fused).parts["logits"] < 0.15 * needed(HALF).parts["logits"]
    assert needed(fused, "dpo").parts["logits"] == needed(HALF, "dpo").parts["logits"]
    assert needed(fused, gpu=False).parts["logits"] == needed(HALF, gpu=False).parts["logits"]


def test_short_samples_take_less_than_the_cutoff_unless_they_are_packed() -> None:
    short, unknown = needed(HALF, longest=100), needed(HALF, longest=None)
    assert short.parts["logits"] * 2048 == unknown.parts["logits"] * 104
    assert needed({**HALF, "packing": True}, longest=100).parts == unknown.parts


def test_packed_neatly_is_packed_with_a_mask_of_all_tokens_by_all() -> None:
    packed = needed({**HALF, "packing": True}, longest=100).parts
    neatly = needed({**HALF, "neat_packing": True}, longest=100).parts
    assert neatly["logits"] == packed["logits"]
    assert neatly["activations"] - packed["activations"] == 2 * 2048**2
    lengths = {**HALF, "neat_packing": True, "flash_attn": "fa2"}
    assert needed(lengths, longest=100).parts == packed


def test_what_is_evaluated_at_once_counts_where_it_is_more() -> None:
    fused = {**HALF, "enable_liger_kernel": True}
    assert "evaluation" not in needed(fused).parts
    found = needed(fused, validation=0.1)
    # The engine evaluates 8 samples at once, and all of their logits are there.
    assert found.peak - needed(fused).peak == found.parts["evaluation"]
    waiting = sum(found.parts[name] for name in ("activations", "logits"))
    gone = max(waiting, found.parts["gradients"])
    assert found.parts["evaluation"] + gone == 8 * 256 * LLAMA.vocabulary * 10
    assert (
        "evaluation" not in needed({**HALF, "per_device_eval_batch_size": 1}, validation=0.1).parts
    )


def test_validation_files_may_hold_longer_samples() -> None:
    found = needed({**HALF, "cutoff_len": 4096}, validation=["path:more.jsonl"])
    assert found.parts["evaluation"] > 0.9 * 8 * 4096 * LLAMA.vocabulary * 10


def test_an_adapter_that_is_trained_on_has_its_own_rank(tmp_path: Path) -> None:
    files = ModelFiles(tmp_path, tmp_path)
    (tmp_path / "adapter_config.json").write_text('{"r": 64}')
    trained_on = memory(recipe({"quantization_bit": 4}), files, LLAMA, 256, gpu=True)
    assert trained_on.parts["gradients"] == 4 * adapter({"lora_rank": 64}, LLAMA)
    merged = memory(recipe({}), files, LLAMA, 256, gpu=True)
    assert merged.parts["gradients"] == 4 * adapter({"lora_rank": 8}, LLAMA)


def test_liger_fuses_for_the_models_that_the_engine_gives_it_to() -> None:
    files, given = ModelFiles(Path("model")), recipe({**HALF, "enable_liger_kernel": True})
    found = [
        memory(given, files, replace(LLAMA, kind=kind), 256, gpu=True).parts["logits"]
        for kind in ("qwen3", "falcon")
    ]
    assert found[0] < 0.15 * found[1]


def test_experts_are_neither_quantized_nor_given_adapters() -> None:
    dense = LLAMA
    mixed = replace(dense, experts=5 * GB)
    assert adapter({}, mixed) == 8 * dense.layers * 4 * 2 * dense.hidden
    assert adapter({}, mixed) < adapter({}, dense)
    args = {**HALF, "quantization_bit": 4, "lora_target": "q_proj"}
    files, given = ModelFiles(Path("model")), recipe(args)
    found = [memory(given, files, one, 256, gpu=True).parts["weights"] for one in (dense, mixed)]
    assert found[1] - found[0] == pytest.approx(5 * GB * (2 - 4.127 / 8), rel=1e-6)


def test_logits_of_a_reference_come_on_top() -> None:
    dpo, orpo = needed(HALF, "dpo").parts, needed({**HALF, "pref_loss": "orpo"}, "dpo").parts
    assert orpo["logits"] == dpo["logits"] * 12 // 16


def test_a_reward_model_learns_nothing_from_logits() -> None:
    reward, pairs = needed(HALF, "rm"), needed(HALF, "dpo")
    assert reward.parts["logits"] == pairs.parts["logits"] * 6 // 16


def test_what_is_offloaded_is_not_on_the_device() -> None:
    def parts(**zero: object) -> dict[str, int]:
        config = {"zero_optimization": {"stage": 3, **zero}}
        return dict(needed({**FULL, **HALF, "deepspeed": config}, devices=4).parts)

    host = {"device": "cpu"}
    assert {"optimizer", "gradients"} <= parts(offload_param=host).keys()
    assert not {"optimizer", "gradients"} & parts(offload_optimizer=host).keys()
    assert "weights" not in parts(offload_param=host)
    # LLaMA-Factory's own examples name it where it is off.
    assert parts(offload_optimizer={"device": "none"}) == parts()


def test_zero3_has_a_billion_weights_whole_at_once() -> None:
    def between(devices: int, **zero: object) -> int:
        config = {"zero_optimization": {"stage": 3, "reduce_bucket_size": "auto", **zero}}
        found = needed({**FULL, **HALF, "deepspeed": config}, devices=devices)
        return found.parts["between devices"] - 2 * LLAMA.hidden**2

    assert between(1) == 0
    assert between(8) == 2 * GB
    assert between(8, stage3_max_live_parameters=10**8) == GB // 5
