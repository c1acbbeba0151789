"""How a stage trains on an adapter version."""

import json
from pathlib import Path
from typing import Any

import pytest

from llmops.engines.contract import ModelFiles
from llmops.engines.llamafactory.chaining import Chain, chain
from llmops.engines.llamafactory.words import told
from llmops.errors import BadInput
from tests.fast.models_on_disk import write_safetensors
from tests.training_jobs import train_recipe


@pytest.fixture
def on_adapter(tmp_path: Path) -> ModelFiles:
    """A full model with an adapter of rank 8 on it."""
    for name in ("base", "adapter"):
        (tmp_path / name).mkdir()
    (tmp_path / "base" / "config.json").write_text("{}")
    (tmp_path / "adapter" / "adapter_config.json").write_text(json.dumps({"r": 8}))
    return ModelFiles(tmp_path / "base", tmp_path / "adapter")


def write_config(base: ModelFiles, config: dict[str, Any]) -> None:
    assert base.adapter is not None
    (base.adapter / "adapter_config.json").write_text(json.dumps(config))


def decide(base: ModelFiles, stage: str, args: dict[str, Any] | None = None) -> Chain:
    return chain(train_recipe(base.directory.parent, stage, args), base)


def test_on_a_full_model(on_adapter: ModelFiles) -> None:
    assert decide(ModelFiles(on_adapter.directory), "dpo") == Chain("adapter", rank=8)


def test_full_training_makes_a_model(on_adapter: ModelFiles) -> None:
    found = decide(ModelFiles(on_adapter.directory), "sft", {"finetuning_type": "freeze"})
    assert found == Chain("full")


def test_new_adapter_is_concatenated(on_adapter: ModelFiles) -> None:
    found = decide(on_adapter, "dpo")
    assert found.concatenate
    assert found.adapter == on_adapter.adapter
    assert found.options == {
        "adapter_name_or_path": str(on_adapter.adapter),
        "create_new_adapter": True,
    }


@pytest.mark.parametrize(
    "args",
    [
        {"quantization_bit": 4},
        {"use_unsloth": True},
        {"use_kt": True},
        {"deepspeed": {"zero_optimization": {"stage": 3}}},
    ],
)
def test_continued_where_it_cannot_merge(args: dict[str, Any], on_adapter: ModelFiles) -> None:
    found = decide(on_adapter, "kto", args)
    assert not found.concatenate
    assert "create_new_adapter" not in found.options
    assert found.options["ref_model"] == str(on_adapter.directory)
    assert found.options["ref_model_adapters"] == str(on_adapter.adapter)


def test_reference_is_quantized_alike(on_adapter: ModelFiles) -> None:
    found = decide(on_adapter, "dpo", {"quantization_bit": 4})
    assert found.options["ref_model_quantization_bit"] == 4


@pytest.mark.parametrize(("stage", "loss"), [("sft", "sigmoid"), ("dpo", "simpo")])
def test_no_reference_where_none_is_used(stage: str, loss: str, on_adapter: ModelFiles) -> None:
    args = {"quantization_bit": 4, "pref_loss": loss}
    assert "ref_model" not in decide(on_adapter, stage, args).options


def test_quantized_base_is_seen_in_its_config(on_adapter: ModelFiles) -> None:
    config = {"quantization_config": {"bits": 4}}
    (on_adapter.directory / "config.json").write_text(json.dumps(config))
    assert not decide(on_adapter, "sft").concatenate


def test_deepspeed_file_is_read(on_adapter: ModelFiles) -> None:
    folder = on_adapter.directory.parent
    (folder / "z3.json").write_text(json.dumps({"zero_optimization": {"stage": 3}}))
    assert not decide(on_adapter, "sft", {"deepspeed": "z3.json"}).concatenate


def test_deepspeed_file_that_is_absent(on_adapter: ModelFiles) -> None:
    with pytest.raises(BadInput, match=r"no file `z3\.json`"):
        decide(on_adapter, "sft", {"deepspeed": "z3.json"})


def test_zero2_merges(on_adapter: ModelFiles) -> None:
    args = {"deepspeed": {"zero_optimization": {"stage": 2}}}
    assert decide(on_adapter, "sft", args).concatenate


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ({"lora_rank": 16}, "`lora_rank: 16` would have no effect: the base is quantized, so"),
        ({"lora_alpha": 32}, "trained on, which has 16"),
        ({"lora_dropout": 0.1}, "which has 0.0"),
        ({"use_rslora": True}, "which has False"),
        ({"lora_target": "q_proj"}, "which has q_proj, v_proj"),
    ],
)
def test_what_would_have_no_effect(args: dict[str, Any], says: str, on_adapter: ModelFiles) -> None:
    config = {"r": 8, "lora_alpha": 16, "lora_dropout": 0.0, "use_rslora": False}
    write_config(on_adapter, {**config, "target_modules": ["v_proj", "q_proj"]})
    with pytest.raises(BadInput, match=says):
        decide(on_adapter, "sft", {"quantization_bit": 4, **args})
    assert decide(on_adapter, "sft", args).concatenate


@pytest.mark.parametrize("target", ["all", "v_proj,q_proj", ["q_proj", "v_proj"]])
def test_what_the_adapter_has_may_be_written(target: Any, on_adapter: ModelFiles) -> None:
    write_config(on_adapter, {"r": 8, "lora_alpha": 16, "target_modules": ["v_proj", "q_proj"]})
    args = {"quantization_bit": 4, "lora_rank": 8, "lora_alpha": 16, "lora_target": target}
    assert not decide(on_adapter, "sft", args).concatenate


def test_a_pattern_of_modules_is_not_compared(on_adapter: ModelFiles) -> None:
    write_config(on_adapter, {"r": 8, "target_modules": r".*\.(q|v)_proj"})
    args = {"quantization_bit": 4, "lora_target": "q_proj"}
    assert not decide(on_adapter, "sft", args).concatenate


def test_embeddings_are_not_put_together(on_adapter: ModelFiles) -> None:
    args = {"lora_target": "q_proj,embed_tokens"}
    assert decide(ModelFiles(on_adapter.directory), "sft", args) == Chain("adapter", rank=8)
    with pytest.raises(BadInput, match="an adapter on `embed_tokens` cannot be put together"):
        decide(on_adapter, "sft", args)
    assert on_adapter.adapter is not None
    name = "base_model.model.model.embed_tokens.lora_embedding_A"
    write_safetensors(on_adapter.adapter / "adapter_model.safetensors", {name: [8, 32]})
    with pytest.raises(BadInput, match="the base's adapter is on token embeddings"):
        decide(on_adapter, "sft")


@pytest.mark.parametrize("method", ["full", "freeze"])
def test_full_training_on_an_adapter(method: str, on_adapter: ModelFiles) -> None:
    with pytest.raises(BadInput, match="cannot start from an adapter version") as caught:
        decide(on_adapter, "sft", {"finetuning_type": method})
    assert "use `lora`" in caught.value.fix


def test_quantized_base_is_not_trained_in_full(on_adapter: ModelFiles) -> None:
    config = {"quantization_config": {"quant_method": "gptq"}}
    (on_adapter.directory / "config.json").write_text(json.dumps(config))
    with pytest.raises(BadInput, match="the base is quantized: `full` cannot train it"):
        decide(ModelFiles(on_adapter.directory), "sft", {"finetuning_type": "full"})


@pytest.mark.parametrize(
    "args", [{"fsdp": "full_shard"}, {"deepspeed": {"zero_optimization": {"stage": 3}}}]
)
def test_quantized_base_is_not_divided(args: dict[str, Any], on_adapter: ModelFiles) -> None:
    base = ModelFiles(on_adapter.directory)
    for method, refused in (("gptq", True), ("mxfp4", False)):
        config = {"quantization_config": {"quant_method": method}}
        (base.directory / "config.json").write_text(json.dumps(config))
        if refused:
            with pytest.raises(BadInput, match="cannot be divided among devices"):
                decide(base, "sft", args)
        else:
            decide(base, "sft", args)


def test_blocks_that_do_not_divide_the_layers(on_adapter: ModelFiles) -> None:
    (on_adapter.directory / "config.json").write_text('{"num_hidden_layers": 5}')
    with pytest.raises(BadInput, match="the base has 5 layers"):
        decide(
            ModelFiles(on_adapter.directory),
            "sft",
            {"finetuning_type": "freeze", "use_llama_pro": True},
        )


def test_sum_of_ranks_that_no_server_loads(on_adapter: ModelFiles) -> None:
    with pytest.raises(BadInput, match="makes one of rank 520, and vLLM serves 512 at most"):
        decide(on_adapter, "dpo", {"lora_rank": 512})
    with pytest.raises(BadInput, match="up to rank 512"):
        decide(ModelFiles(on_adapter.directory), "sft", {"lora_rank": 600})


@pytest.mark.parametrize(
    ("stage", "args", "lines"),
    [
        ("sft", {}, ["merged in memory; a new adapter of rank 8", "of rank 16 on the same base"]),
        ("dpo", {}, ["merged in memory", "by switching the new adapter off", "both in one"]),
        ("dpo", {"pref_loss": "simpo"}, ["merged", "`pref_loss: simpo` needs none", "both"]),
        (
            "kto",
            {"use_unsloth": True},
            ["unsloth does not merge adapters, so its adapter of rank 8", "a second time", "8 on"],
        ),
    ],
)
def test_words_on_an_adapter(
    stage: str, args: dict[str, Any], lines: list[str], on_adapter: ModelFiles
) -> None:
    recipe = train_recipe(on_adapter.directory.parent, stage, args)
    found = told(recipe, on_adapter, chain(recipe, on_adapter))
    assert [part in line for part, line in zip(lines, found, strict=True)] == [True] * len(lines)


def test_words_of_full_training(on_adapter: ModelFiles) -> None:
    base = ModelFiles(on_adapter.directory)
    recipe = train_recipe(on_adapter.directory.parent, "dpo", {"finetuning_type": "full"})
    assert told(recipe, base, chain(recipe, base)) == (
        "starts from path:base, and trains all of its weights",
        "reference model: path:base as it was, loaded a second time",
        "makes the next version of town: a full model",
    )


def test_ranks_stack_also_before_the_first_is_made(on_adapter: ModelFiles) -> None:
    pending = ModelFiles(on_adapter.directory, on_adapter.directory / "none", rank=16)
    assert decide(pending, "sft", {"lora_rank": 4}).rank == 20
    assert decide(on_adapter, "sft", {"lora_rank": 4}).rank == 12
    assert decide(pending, "sft", {"quantization_bit": 4}).rank == 16
