"""Peak memory of one device while LLaMA-Factory trains, by its parts. docs/plans.md publishes the
formula with its sources and its error; benchmarks/memory.py measures that.

Not covered: images and sound, and the options of `_UNKNOWN`, which are named instead.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llmops.engines.contract import Memory, ModelFiles
from llmops.engines.llamafactory.chaining import chain, needs_reference
from llmops.engines.llamafactory.defaults import SMALL_BYTES
from llmops.engines.llamafactory.optionfiles import zero_of
from llmops.engines.shape import Shape
from llmops.spec.load import Loaded
from llmops.spec.recipe import TrainRecipe

_FRAMEWORK = {False: 700_000_000, True: 1_000_000_000}
"""Python, torch and the engine on a CPU (measured); CUDA's context and workspaces (assumed)."""
_FREED = 0.7
"""On a CPU: what glibc keeps of freed memory, for each byte of all activations (measured; it is as
much with checkpointing). A GPU's allocator uses freed blocks again."""
_STATES = {
    **dict.fromkeys(("adamw_torch", "adamw_torch_fused", "adamw_hf", "adamw_apex_fused"), 2.0),
    **dict.fromkeys(("paged_adamw", "paged_adamw_32bit", "stable_adamw"), 2.0),
    **dict.fromkeys(("lion_32bit", "paged_lion_32bit", "adagrad"), 1.0),
    **dict.fromkeys(("adafactor", "sgd"), 0.0),
}
"""Values that an optimizer keeps for each one that it trains, as wide as what it trains. Adafactor
keeps rows and columns."""
_EIGHT_BITS = {
    **dict.fromkeys(("adamw_bnb_8bit", "adamw_8bit", "paged_adamw_8bit"), 2.0),
    **dict.fromkeys(("lion_8bit", "paged_lion_8bit"), 1.0),
}
"""Bytes instead, whatever it trains."""
_OPTIMIZER = "adamw_torch_fused"
"""The engine's default (transformers' TrainingArguments)."""
_UNKNOWN = {
    "use_galore": "GaLore's projections",
    "use_apollo": "APOLLO's projections",
    "use_badam": "BAdam's blocks",
    "use_muon": "Muon's states",
    "use_adam_mini": "Adam-mini's states",
    "use_unsloth": "what unsloth saves",
    "use_unsloth_gc": "the activations that lie in host memory",
    "use_kt": "the layers that KTransformers keeps in host memory",
    "fsdp": "how FSDP shards",
    "mixture_of_depths": "mixture of depths",
}
_FUSED = 10
"""Bytes for each token and hidden unit of liger's fused loss: logits are made in pieces of about
hidden / vocabulary of the tokens (Hsu et al. 2024), with the gradient of its input."""


@dataclass(frozen=True)
class _Precision:
    """frozen, trained: bytes of a weight, with the copy in half precision that autocast keeps;
    gradient: of its gradient; state: of an optimizer's value; master: of the float32 weight that
    DeepSpeed keeps with it; mixed: autocast is on."""

    frozen: int
    trained: int
    gradient: int
    state: int
    master: int = 0
    mixed: bool = False


@dataclass(frozen=True)
class _Need:
    """length: tokens of a sample; reference: whether a second model is loaded to refer to."""

    args: Mapping[str, Any]
    stage: str
    devices: int
    shape: Shape
    length: int
    gpu: bool
    reference: bool


def memory(
    recipe: Loaded[TrainRecipe], base: ModelFiles, shape: Shape, longest: int | None, *, gpu: bool
) -> Memory:
    """longest: tokens of the longest sample, None where it is not known."""
    spec = recipe.spec
    length = int(spec.args.get("cutoff_len", 2048))
    if longest is not None and not spec.args.get("packing", spec.stage == "cpt"):
        # Padded to a multiple of 8 (train/sft/workflow.py).
        length = min(length, 8 * math.ceil(longest / 8))
    own = spec.args.get("finetuning_type", "lora") != "lora"
    reference = (needs_reference(recipe) and own) or "ref_model" in chain(recipe, base).options
    devices = spec.resources.devices
    need = _Need(spec.args, spec.stage, devices, shape, length, gpu, reference)
    return _memory(need, zero_of(recipe))


def _memory(need: _Need, zero: Mapping[str, Any]) -> Memory:
    """zero: DeepSpeed's `zero_optimization`, empty without it."""
    args = need.args
    precision = _precision(need, zero)
    parts = {
        **_of_weights(need, zero, precision),
        **_of_tokens(need, precision),
        "framework": _FRAMEWORK[need.gpu],
    }
    unknown = [words for key, words in _UNKNOWN.items() if args.get(key)]
    if str(args.get("optim", _OPTIMIZER)) not in _STATES | _EIGHT_BITS:
        unknown.append(f"the states of optimizer {args['optim']}")
    if any(key.startswith("offload_") for key in zero):
        unknown.append("what DeepSpeed puts into host memory")
    return Memory(
        parts={name: int(size) for name, size in parts.items() if size},
        turns=int(args.get("gradient_accumulation_steps", 1)) <= 1,
        unknown=tuple(unknown),
    )


def _of_weights(need: _Need, zero: Mapping[str, Any], precision: _Precision) -> dict[str, float]:
    """ZeRO shards the optimizer's states, then gradients, then weights (Rajbhandari et al. 2020,
    section 5); without it, data-parallel training keeps gradients a second time, in buckets."""
    args, shape = need.args, need.shape
    trained = _trained(args, shape)
    weights = _frozen(args, shape, trained, precision) + trained * precision.trained
    reference = _width_of_all(args.get("quantization_bit"), shape, precision)
    optimizer, gradients, all_of_it = (
        need.devices if int(zero.get("stage", 0)) >= level else 1 for level in (1, 2, 3)
    )
    copies = 2 if need.devices > 1 and not zero else 1
    return {
        "weights": weights / all_of_it,
        "gradients": trained * precision.gradient * copies / gradients,
        "optimizer": trained * (_states(args, precision.state) + precision.master) / optimizer,
        "reference model": reference / all_of_it if need.reference else 0.0,
    }


def _of_tokens(need: _Need, precision: _Precision) -> dict[str, float]:
    """What a micro-batch leaves between forward and backward."""
    args, shape = need.args, need.shape
    tokens = need.length * int(args.get("per_device_train_batch_size", 8))
    tokens *= 2 if need.stage in ("dpo", "rm") else 1
    layer, logits = _a_layer(need, precision), _a_token_of_logits(need)
    every = layer * shape.layers
    activations = every
    if checkpointing(args, shape):
        # What is added up from layer to layer is as wide as the embeddings that it starts from;
        # a layer is computed again after the logits are gone.
        full = args.get("finetuning_type", "lora") == "full"
        each = precision.state if full else precision.frozen
        activations = each * shape.hidden * shape.layers + max(0.0, layer - logits)
    return {
        "activations": tokens * activations,
        "logits": tokens * logits,
        "allocator": 0.0 if need.gpu else tokens * every * _FREED,
    }


def saved(args: Mapping[str, Any], shape: Shape) -> tuple[int, int]:
    """Bytes on disk: of the weights that training makes, in the width that it trains them in, and
    of the optimizer's states."""
    trained = _trained(args, shape)
    width = 2 if args.get("pure_bf16") else 4
    lora = args.get("finetuning_type", "lora") == "lora"
    weights = trained if lora else shape.parameters
    return weights * width, int(_states(args, width) * trained)


def _precision(need: _Need, zero: Mapping[str, Any]) -> _Precision:
    """LLaMA-Factory loads weights in the width that they are stored in, and trains in float32
    unless `pure_bf16` (model/loader.py, model/adapter.py)."""
    stored = min(4, need.shape.bytes_each)
    half = bool(need.args.get("bf16") or need.args.get("fp16"))
    if need.args.get("pure_bf16"):
        return _Precision(frozen=stored, trained=stored, gradient=stored, state=stored)
    if half and zero:
        return _Precision(frozen=2, trained=2, gradient=2, state=4, master=4, mixed=True)
    return _Precision(frozen=stored, trained=4 + 2 * half, gradient=4, state=4, mixed=half)


def _states(args: Mapping[str, Any], width: int) -> float:
    """Bytes of the optimizer for each trained weight. width: of a value that is as wide as it."""
    name = str(args.get("optim", _OPTIMIZER))
    return _EIGHT_BITS.get(name, _STATES.get(name, 0.0) * width)


def _trained(args: Mapping[str, Any], shape: Shape) -> int:
    """How many weights are trained."""
    match args.get("finetuning_type", "lora"):
        case "full":
            return shape.parameters
        case "freeze":
            layers = min(abs(int(args.get("freeze_trainable_layers", 2))), shape.layers)
            return (shape.parameters - shape.embeddings) * layers // shape.layers
    return adapter(args, shape)


def adapter(args: Mapping[str, Any], shape: Shape) -> int:
    """The weights of a LoRA adapter: rank * (in + out) for each matrix that it stands on."""
    hidden, inner = shape.hidden, shape.inner
    matrices = {
        "q_proj": hidden + shape.queries,
        "k_proj": hidden + shape.keys,
        "v_proj": hidden + shape.keys,
        "o_proj": shape.queries + hidden,
        "gate_proj": hidden + inner,
        "up_proj": hidden + inner,
        "down_proj": inner + hidden,
    }
    targets = args.get("lora_target", "all")
    named = targets.split(",") if isinstance(targets, str) else [str(one) for one in targets]
    found = [matrices[name.strip()] for name in named if name.strip() in matrices]
    return int(args.get("lora_rank", 8)) * shape.layers * sum(found or matrices.values())


def _frozen(args: Mapping[str, Any], shape: Shape, trained: int, precision: _Precision) -> float:
    """With a copy in half precision of float32 weights, which backward uses once more."""
    copied = precision.mixed and precision.frozen == 4 and not checkpointing(args, shape)
    copies = 2 if copied and not args.get("quantization_bit") else 0
    match args.get("finetuning_type", "lora"):
        case "full":
            return 0.0
        case "freeze":
            return float((shape.parameters - trained) * (precision.frozen + copies))
    whole = _width_of_all(args.get("quantization_bit"), shape, precision)
    return whole + copies * shape.parameters


def _width_of_all(bits: Any, shape: Shape, precision: _Precision) -> float:
    """Bytes of the whole model, frozen. Quantizing leaves the embeddings in 16 bits; its constants
    take 0.127 bits a weight (Dettmers et al. 2023, section 3)."""
    if not bits:
        return float(shape.parameters * precision.frozen)
    layers = shape.parameters - shape.embeddings
    return layers * (int(bits) + 0.127) / 8 + shape.embeddings * 2


def checkpointing(args: Mapping[str, Any], shape: Shape) -> bool:
    """Whether layers are computed again: the engine's default, but for small models llmops'."""
    small = shape.parameters * shape.bytes_each < SMALL_BYTES
    return not args.get("disable_gradient_checkpointing", small)


def _a_layer(need: _Need, precision: _Precision) -> float:
    """Bytes for a token in a layer: what autograd saves, counted as Korthikanti et al. (2022,
    section 4.1) do, for a decoder with RMSNorm, SwiGLU and fused attention."""
    shape = need.shape
    lora = need.args.get("finetuning_type", "lora") != "full"
    hidden, queries, keys, inner = shape.hidden, shape.queries, shape.keys, shape.inner
    if precision.mixed and lora:
        own = 18 * hidden + 6 * queries + 4 * keys + 8 * inner
    elif precision.mixed:
        own = 26 * hidden + 4 * queries + 4 * keys + 8 * inner
    elif (precision.frozen if lora else precision.trained) == 4:
        own = 4 * ((4 if lora else 6) * hidden + 2 * queries + 2 * keys + 4 * inner)
    elif lora and precision.trained == 4:
        # The adapter is float32, and nothing else is: each matrix of it keeps its input anew.
        own = 28 * hidden + 8 * queries + 4 * keys + 10 * inner
    else:
        own = 16 * hidden + 4 * queries + 4 * keys + 8 * inner
    norms = 6 * (queries + keys) if shape.norms else 0
    eager = need.args.get("flash_attn") == "disabled"
    return own + norms + (6 * shape.heads * need.length if eager else 0)


def _a_token_of_logits(need: _Need) -> float:
    """Bytes: three copies of its logits in float32 (log-softmax, its gradient, theirs). The losses
    of pairs keep the logits themselves too, and the reference model's come on top."""
    if need.args.get("enable_liger_kernel") and need.gpu and need.stage in ("cpt", "sft"):
        return _FUSED * need.shape.hidden
    return need.shape.vocabulary * (16 if need.stage in ("dpo", "kto") else 12)
