"""What DPO compares with, for each way to train on each kind of base; or why it is refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from llmops.engines.contract import ModelFiles
from llmops.engines.llamafactory.chaining import chain
from llmops.engines.llamafactory.words import told
from llmops.errors import BadInput
from tests.training_jobs import train_recipe

OFF, TWICE = "by switching the new adapter off", "as it was, loaded a second time"
ADAPTER, PACKED = "cannot start from an adapter version", "the base is quantized: `"
ZERO3 = {"deepspeed": {"zero_optimization": {"stage": 3}}}
FULL = {"finetuning_type": "full"}

MATRIX: dict[str, tuple[dict[str, Any], str, str, str]] = {
    # args; on a full model, on an adapter of it, on an adapter of a quantized base
    "lora": ({}, OFF, OFF, TWICE),
    "rslora": ({"use_rslora": True}, OFF, OFF, TWICE),
    "qlora": ({"quantization_bit": 4}, OFF, TWICE, "quantized already"),
    "zero3": (ZERO3, OFF, TWICE, "cannot be divided among devices"),
    "unsloth": ({"use_unsloth": True}, OFF, TWICE, TWICE),
    "full": (FULL, TWICE, ADAPTER, PACKED),
    "full, zero3": ({**FULL, **ZERO3}, TWICE, ADAPTER, PACKED),
    "freeze": ({"finetuning_type": "freeze"}, TWICE, ADAPTER, PACKED),
    "dora": ({"use_dora": True}, *["vLLM does not load DoRA"] * 3),
    "oft": ({"finetuning_type": "oft"}, *["not served by vLLM"] * 3),
    "pissa": ({"pissa_init": True}, *["PiSSA changes the base"] * 3),
    "whole modules": ({"additional_target": "lm_head"}, *["refused by vLLM"] * 3),
    "new tokens": ({"resize_vocab": True}, *["which vLLM refuses"] * 3),
    "new blocks": ({"use_llama_pro": True}, *["block expansion changes the base"] * 3),
}


@pytest.fixture
def bases(tmp_path: Path) -> list[ModelFiles]:
    quantized = {"quantization_config": {"quant_method": "gptq"}}
    for name, config in (("base", {}), ("packed", quantized)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(json.dumps(config))
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text('{"r": 8, "use_rslora": true}')
    full = ModelFiles(tmp_path / "base")
    return [full, ModelFiles(full.directory, adapter), ModelFiles(tmp_path / "packed", adapter)]


@pytest.mark.parametrize("method", MATRIX)
def test_each_way_on_each_base(method: str, bases: list[ModelFiles]) -> None:
    args, *expected = MATRIX[method]
    for base, words in zip(bases, expected, strict=True):
        recipe = train_recipe(base.directory.parent, "dpo", args)
        try:
            said = told(recipe, base, chain(recipe, base))[1]
        except BadInput as error:
            said = error.what
        assert words in said
