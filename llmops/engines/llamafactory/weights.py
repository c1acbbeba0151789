"""What weights take while they are trained, on a device and on disk: their own bytes, gradients,
the optimizer's states, a reference model, and what DeepSpeed passes between devices."""

from collections.abc import Mapping
from typing import Any

from llmops.engines.llamafactory.need import Need, Precision, precision
from llmops.engines.shape import Shape

_STATES = {
    **dict.fromkeys(("adamw_torch", "adamw_torch_fused", "adamw_apex_fused", "stable_adamw"), 2.0),
    "adagrad": 1.0,
    **dict.fromkeys(("adafactor", "sgd"), 0.0),
}
"""Values that an optimizer keeps for each one that it trains, as wide as what it trains. Adafactor
keeps rows and columns."""
_THIRTY_TWO_BITS = {"paged_adamw_32bit": 8.0, "lion_32bit": 4.0, "paged_lion_32bit": 4.0}
_EIGHT_BITS = {
    **dict.fromkeys(("adamw_bnb_8bit", "adamw_8bit", "paged_adamw_8bit"), 2.0),
    **dict.fromkeys(("lion_8bit", "paged_lion_8bit"), 1.0),
}
"""Bytes instead, of bitsandbytes, whatever it trains. Those of the embeddings stay in 32 bits
(transformers/trainer.py, create_optimizer)."""
_OPTIMIZER = "adamw_torch_fused"
"""The engine's default (transformers' TrainingArguments)."""
_LIVE = 1_000_000_000
_GROUP = 1_000_000_000
_BUCKET = 500_000_000
"""Weights that ZeRO-3 has whole at once, that it steps at once, and gradients that are reduced at
once: DeepSpeed's defaults (runtime/zero/config.py)."""


def of_weights(need: Need, width: Precision) -> dict[str, float]:
    """ZeRO shards the optimizer's states, then gradients, then weights (Rajbhandari et al. 2020,
    section 5); without it, data-parallel training keeps gradients a second time, in buckets."""
    count = trained(need.args, need.shape)
    weights = _frozen(need, count, width) + count * width.trained
    reference = _width_of_all(need, width) if need.reference else 0.0
    gradients = count * width.gradient * (2 if need.devices > 1 and not need.zero else 1)
    optimizer = _states(need.args, need.shape, width.state) + count * width.master
    parts = {
        "weights": weights / need.sharded(3),
        "gradients": gradients / need.sharded(2),
        "optimizer": optimizer / need.sharded(1) + _step(need, count, width),
        "reference model": reference / need.sharded(3),
        "between devices": _between(need, count),
    }
    for key, gone in (
        ("offload_optimizer", ("optimizer", "gradients")),
        ("offload_param", ("weights", "reference model")),
    ):
        if offloaded(need.zero, key):
            parts.update(dict.fromkeys(gone, 0.0))
    return parts


def offloaded(zero: Mapping[str, Any], key: str) -> bool:
    """Whether DeepSpeed keeps it in host memory, or on a disk."""
    asked = zero.get(key)
    return isinstance(asked, dict) and asked.get("device", "none") != "none"


def known(optimizer: Any) -> bool:
    return str(optimizer or _OPTIMIZER) in _STATES | _THIRTY_TWO_BITS | _EIGHT_BITS


def saved(args: Mapping[str, Any], shape: Shape, zero: Mapping[str, Any]) -> tuple[int, int]:
    """Bytes on disk: of the weights that training makes, in the width that it trains them in, and
    of what a checkpoint holds beside them."""
    count, width = trained(args, shape), precision(args, shape, zero)
    each = width.trained if width.master or args.get("pure_bf16") else 4
    weights = count * each
    if args.get("finetuning_type", "lora") == "freeze":
        weights += (shape.parameters - count) * width.frozen
    # DeepSpeed saves its float32 weights, and those in half precision a second time.
    more = count * (width.master + width.trained) if width.master else 0
    return weights, int(_states(args, shape, width.state)) + more


def trained(args: Mapping[str, Any], shape: Shape) -> int:
    """How many weights are trained."""
    match args.get("finetuning_type", "lora"):
        case "full":
            return shape.parameters
        case "freeze":
            layers = min(abs(int(args.get("freeze_trainable_layers", 2))), shape.layers)
            return (shape.parameters - shape.embeddings) * layers // shape.layers
    return adapter(args, shape)


def adapter(args: Mapping[str, Any], shape: Shape) -> int:
    """The weights of a LoRA adapter: rank * (in + out) for each matrix that it stands on. Experts
    that are chosen among lie together in no linear layer, and get none."""
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
    if shape.experts:
        matrices = {name: one for name, one in matrices.items() if name[0] in "qkvo"}
    targets = args.get("lora_target", "all")
    named = targets.split(",") if isinstance(targets, str) else [str(one) for one in targets]
    found = [matrices[name.strip()] for name in named if name.strip() in matrices]
    return int(args.get("lora_rank", 8)) * shape.layers * sum(found or matrices.values())


def _states(args: Mapping[str, Any], shape: Shape, width: int) -> float:
    """Bytes of the optimizer. width: of a value that is as wide as what is trained."""
    name, count = str(args.get("optim", _OPTIMIZER)), trained(args, shape)
    if name in _EIGHT_BITS:
        full = args.get("finetuning_type") == "full"
        embedded = shape.vocabulary * shape.hidden if full else 0
        return _EIGHT_BITS[name] * (count + 3 * embedded)
    return _THIRTY_TWO_BITS.get(name, _STATES.get(name, 0.0) * width) * count


def _step(need: Need, count: int, width: Precision) -> float:
    """The float32 gradients that DeepSpeed steps with, as much at once as it does."""
    each = count / need.sharded(1)
    if int(need.zero.get("stage", 0)) >= 3:
        each = min(each, _number(need.zero, "sub_group_size", _GROUP))
    return each * width.master


def _between(need: Need, count: int) -> float:
    """What DeepSpeed keeps to gather weights into, and to reduce gradients from."""
    if not need.zero:
        return 0.0
    square = need.shape.hidden**2
    asked = need.zero.get("reduce_bucket_size")
    bucket = square if asked == "auto" else _number(need.zero, "reduce_bucket_size", _BUCKET)
    reduced = min(count, bucket) * (2 if need.zero.get("overlap_comm") else 1)
    absent = need.shape.parameters * (1 - 1 / need.sharded(3))
    gathered = min(absent, _number(need.zero, "stage3_max_live_parameters", _LIVE))
    return 2 * (reduced + gathered)


def _number(zero: Mapping[str, Any], key: str, default: float) -> float:
    given = zero.get(key, default)
    return float(given) if isinstance(given, int | float) else default


def _frozen(need: Need, count: int, width: Precision) -> float:
    """With a copy in half precision of float32 weights, which backward uses once more."""
    copied = width.mixed and width.frozen == 4 and not need.checkpointing
    copies = 2 if copied and not need.args.get("quantization_bit") else 0
    match need.method:
        case "full":
            return 0.0
        case "freeze":
            return float((need.shape.parameters - count) * (width.frozen + copies))
    return _width_of_all(need, width) + copies * need.shape.parameters


def _width_of_all(need: Need, width: Precision) -> float:
    """Bytes of the whole model, frozen. Quantizing leaves the embeddings in 16 bits, and experts,
    which lie in no linear layer; its constants take 0.127 bits a weight (Dettmers et al. 2023,
    section 3)."""
    shape, bits = need.shape, need.args.get("quantization_bit")
    if not bits:
        return float(shape.parameters * width.frozen)
    left = shape.embeddings + shape.experts
    return (shape.parameters - left) * (int(bits) + 0.127) / 8 + left * 2
