"""Rules of thumb for what a training stage needs: memory, disk, time.

Memory counts weights, gradients, AdamW's two moments, the activations of one micro-batch and its
logits; not the framework itself (about 0.6 GB on CPU) and not fragmentation. Source of the bytes
for each parameter: mixed-precision training keeps 32-bit weights, gradients and moments for what
it trains (4 + 4 + 8), `pure_bf16` half of that; a frozen weight needs its own width.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmops.engines.contract import Estimate
from llmops.registry.files import headers, model_files
from llmops.registry.manifest import Manifest

START_SECONDS = 8.0
"""What a stage takes before its first step: imports, tokenizing, loading."""

_ACTIVATION_BYTES = 34
"""Bytes for each token, layer and hidden unit at 2 bytes a value, without checkpointing
(Korthikanti et al., 2022, Reducing Activation Recomputation, eq. 2, attention scores left out)."""


@dataclass(frozen=True)
class Shape:
    """The size of a model. bytes_each: of one weight as stored."""

    parameters: int
    hidden: int
    layers: int
    vocabulary: int
    bytes_each: int = 4


def shape_of(directory: Path) -> Shape | None:
    """The shape of the full model in a directory; None when its config has other names."""
    try:
        config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
        tensors = headers(directory, model_files(directory, "full")).values()
        parameters = sum(tensor.elements for tensor in tensors)
        width = {"F32": 4, "F64": 8}.get(next(iter(tensors)).dtype, 2)
        return _shape(config, parameters, config["vocab_size"], width)
    except (OSError, ValueError, KeyError, StopIteration):
        return None


def shape_of_architecture(architecture: Mapping[str, Any], vocabulary: int) -> Shape | None:
    """The shape of a decoder that is yet to be made; None when its config has other names."""
    try:
        hidden, layers = architecture["hidden_size"], architecture["num_hidden_layers"]
        heads = architecture["num_attention_heads"]
        share = architecture.get("num_key_value_heads", heads) / heads
        attention = hidden * hidden * (2 + 2 * share)
        feed_forward = 3 * hidden * architecture["intermediate_size"]
        embeddings = vocabulary * hidden * (1 if architecture.get("tie_word_embeddings") else 2)
        parameters = int(layers * (attention + feed_forward) + embeddings)
        return _shape(architecture, parameters, vocabulary, 4)
    except (KeyError, TypeError):
        return None


def _shape(config: Mapping[str, Any], parameters: int, vocabulary: int, width: int) -> Shape:
    return Shape(parameters, config["hidden_size"], config["num_hidden_layers"], vocabulary, width)


def steps_of(args: Mapping[str, Any], samples: int, devices: int, stage: str) -> int | None:
    """How many optimizer steps a recipe asks for; None when packing decides."""
    if int(args.get("max_steps", -1)) > 0:
        return int(args["max_steps"])
    if stage == "cpt" or args.get("packing") or args.get("neat_packing"):
        return None
    batch = int(args.get("per_device_train_batch_size", 8)) * devices
    batch *= int(args.get("gradient_accumulation_steps", 1))
    return math.ceil(samples / batch * float(args.get("num_train_epochs", 3.0)))


def estimate_training(
    shape: Shape | None, args: Mapping[str, Any], stage: str, steps: int | None, earlier: Any
) -> Estimate:
    """What a training stage needs. earlier: the last version that the same recipe made."""
    seconds = _seconds(steps, earlier)
    if shape is None:
        return Estimate(seconds=seconds)
    full = args.get("finetuning_type", "lora") != "lora"
    memory = _weights(shape, args, stage, full) + _activations(shape, args, stage)
    disk = shape.parameters * shape.bytes_each * (3 if full else 0) + _adapter(shape, args)
    return Estimate(memory_bytes=int(memory), disk_bytes=int(disk), seconds=seconds)


def _weights(shape: Shape, args: Mapping[str, Any], stage: str, full: bool) -> float:
    trained = 8 if args.get("pure_bf16") else 16
    bits = args.get("quantization_bit")
    frozen = int(bits) / 8 if bits else (2 if args.get("bf16") or args.get("fp16") else 4)
    if full:
        reference = shape.parameters * frozen if stage in ("dpo", "kto") else 0
        return shape.parameters * trained + reference
    return shape.parameters * frozen + _adapter(shape, args) / shape.bytes_each * trained


def _adapter(shape: Shape, args: Mapping[str, Any]) -> float:
    """Bytes of a LoRA adapter on every linear layer: about 18 hidden * rank values a layer."""
    rank = int(args.get("lora_rank", 8))
    return 18 * shape.hidden * rank * shape.layers * shape.bytes_each


def _activations(shape: Shape, args: Mapping[str, Any], stage: str) -> float:
    width = 2 if args.get("bf16") or args.get("fp16") else 4
    batch = int(args.get("per_device_train_batch_size", 8))
    sequences = batch * (2 if stage in ("dpo", "rm", "kto") else 1)
    tokens = sequences * int(args.get("cutoff_len", 2048))
    checkpointing = not args.get("disable_gradient_checkpointing")
    a_layer = _ACTIVATION_BYTES / 2 * width * shape.hidden
    kept = 2 * width / 2 * shape.hidden * shape.layers + a_layer
    layers = kept if checkpointing else a_layer * shape.layers
    return tokens * (layers + shape.vocabulary * (4 + width))


def _seconds(steps: int | None, earlier: Manifest | None) -> float | None:
    """From the speed of the last run of the same recipe on this project."""
    speed = earlier.metrics.get("train_steps_per_second") if earlier else None
    if not steps:
        runtime = earlier.metrics.get("train_runtime") if earlier else None
        return runtime + START_SECONDS if runtime else None
    return START_SECONDS + steps / speed if speed else None
