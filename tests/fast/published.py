"""Peaks of memory that others measured on GPUs, with what they trained as a recipe would say it."""

from typing import Any, NamedTuple

from tests.fast.estimated import FULL, HALF

GIB = 2**30 / 1e9
QWEN = "Qwen"
"""github.com/QwenLM/Qwen, README, "Profiling of Memory and Speed": A100, flash-attention 2,
adapters of rank 64 on all linear layers, 8 micro-batches of 1 to an update, with checkpointing;
several GPUs are given as their sum there."""
TORCHTUNE = "torchtune"
"""github.com/pytorch/torchtune, README: packed rows, 2 to a micro-batch, the loss in chunks but for
the first, `pure_bf16` throughout; some were compiled."""
LITGPT = "LitGPT"
"""github.com/Lightning-AI/litgpt, tutorials/resource-tables.md: A100, bf16-true, rank 8 on queries
and values, nothing computed twice, the longest sample 1,304 tokens."""
ENGINE = "LLaMA-Factory"
"""github.com/hiyouga/LLaMA-Factory, README, "Hardware Requirement", which counts no batch."""
UNSLOTH = "Unsloth"
"""github.com/unslothai/unsloth, README: the context with which Hugging Face's trainer with
flash-attention 2 filled a GPU of that size, QLoRA of rank 32, with the transformers of 2024. That
copied logits, cut by one token, once more in half and once more in full precision."""

_LORA: dict[str, Any] = {**HALF, "lora_rank": 64, "gradient_accumulation_steps": 8}
_QLORA = {**_LORA, "quantization_bit": 4}
_ZERO3 = {
    "deepspeed": {"zero_optimization": {"stage": 3, "reduce_bucket_size": "auto"}},
    "gradient_accumulation_steps": 8,
}
_TUNE = {"pure_bf16": True, "packing": True, "per_device_train_batch_size": 2}
_LIT = {
    "pure_bf16": True,
    "lora_target": "q_proj,v_proj",
    "disable_gradient_checkpointing": True,
}
_FUSED = {"enable_liger_kernel": True}


class Published(NamedTuple):
    """tokens: of a sample; peak: GB of one GPU; off: how far the formula may be from it."""

    source: str
    model: str
    training: str
    args: dict[str, Any]
    tokens: int
    peak: float
    devices: int = 1
    off: float = 0.25


PUBLISHED = (
    Published(QWEN, "Qwen 1.8B", "LoRA 1x256", _LORA, 256, 6.7),
    Published(QWEN, "Qwen 1.8B", "LoRA 1x4096", _LORA, 4096, 16.2),
    Published(QWEN, "Qwen 1.8B", "LoRA 1x8192", _LORA, 8192, 21.8),
    Published(QWEN, "Qwen 7B", "LoRA 1x256", _LORA, 256, 20.1),
    Published(QWEN, "Qwen 7B", "LoRA 1x2048", _LORA, 2048, 23.8),
    Published(QWEN, "Qwen 7B", "LoRA 1x8192", _LORA, 8192, 36.6),
    Published(QWEN, "Qwen 14B", "LoRA 1x2048", _LORA, 2048, 37.4),
    Published(QWEN, "Qwen 1.8B", "QLoRA 1x256", _QLORA, 256, 5.8),
    Published(QWEN, "Qwen 1.8B", "QLoRA 1x8192", _QLORA, 8192, 15.8),
    Published(QWEN, "Qwen 7B", "QLoRA 1x256", _QLORA, 256, 11.5),
    Published(QWEN, "Qwen 7B", "QLoRA 1x8192", _QLORA, 8192, 23.5),
    Published(QWEN, "Qwen 14B", "QLoRA 1x2048", _QLORA, 2048, 19.9),
    Published(QWEN, "Qwen 14B", "QLoRA 1x8192", _QLORA, 8192, 27.9),
    Published(QWEN, "Qwen 72B", "QLoRA 1x2048", _QLORA, 2048, 64.1),
    Published(QWEN, "Qwen 1.8B", "full, ZeRO-3 1x256", {**FULL, **HALF, **_ZERO3}, 256, 43.5),
    Published(QWEN, "Qwen 7B", "full, ZeRO-3 1x256", {**FULL, **HALF, **_ZERO3}, 256, 69.6, 2),
    Published(QWEN, "Qwen 7B", "full, ZeRO-3 1x1024", {**FULL, **HALF, **_ZERO3}, 1024, 81.0, 2),
    Published(QWEN, "Qwen 72B", "LoRA, ZeRO-3 1x256", {**_LORA, **_ZERO3}, 256, 53.9, 4),
    Published(QWEN, "Qwen 72B", "LoRA, ZeRO-3 1x8192", {**_LORA, **_ZERO3}, 8192, 72.3, 4),
    Published(
        TORCHTUNE,
        "Llama 3.2 3B",
        "full 2x4096",
        {**FULL, **_TUNE, "disable_gradient_checkpointing": True},
        4096,
        60.0 * GIB,
    ),
    Published(
        TORCHTUNE,
        "Llama 3.2 3B",
        "full 2x4096, checkpointing",
        {**FULL, **_TUNE, **_FUSED},
        4096,
        24.9 * GIB,
    ),
    Published(
        TORCHTUNE,
        "Llama 3.1 8B",
        "LoRA 2x2048, checkpointing",
        {**_TUNE, **_FUSED},
        2048,
        16.2 * GIB,
    ),
    Published(
        TORCHTUNE,
        "Llama 3.1 8B",
        "QLoRA 2x2048, checkpointing",
        {**_TUNE, **_FUSED, "quantization_bit": 4},
        2048,
        7.4 * GIB,
    ),
    Published(LITGPT, "Llama 2 7B", "LoRA 1x1304", _LIT, 1304, 21.3),
    Published(
        LITGPT, "Llama 2 7B", "LoRA 2x1304", {**_LIT, "per_device_train_batch_size": 2}, 1304, 29.1
    ),
    Published(LITGPT, "Llama 2 7B", "QLoRA 1x1304", {**_LIT, "quantization_bit": 4}, 1304, 13.8),
    Published(LITGPT, "Llama 2 13B", "LoRA 1x1304", _LIT, 1304, 38.1),
    Published(LITGPT, "Llama 2 13B", "QLoRA 1x1304", {**_LIT, "quantization_bit": 4}, 1304, 22.6),
    Published(ENGINE, "Llama 2 7B", "full", {**FULL, **HALF}, 256, 120),
    Published(ENGINE, "Llama 2 7B", "full, pure_bf16", {**FULL, "pure_bf16": True}, 256, 60),
    Published(ENGINE, "Llama 2 7B", "LoRA", HALF, 256, 16),
    Published(ENGINE, "Llama 2 7B", "QLoRA, 8 bits", {**HALF, "quantization_bit": 8}, 256, 10),
    Published(ENGINE, "Llama 2 7B", "QLoRA", {**HALF, "quantization_bit": 4}, 256, 6),
    Published(
        UNSLOTH,
        "Llama 3.1 8B",
        "QLoRA 1x5789",
        {**_QLORA, "lora_rank": 32},
        5789,
        24 * GIB,
        off=0.3,
    ),
    Published(
        UNSLOTH,
        "Llama 3.1 70B",
        "QLoRA 1x6916",
        {**_QLORA, "lora_rank": 32},
        6916,
        80 * GIB,
    ),
)
