"""What samples take on a device, between forward and backward and while they are evaluated."""

from llmops.engines.llamafactory.need import Need, Precision

_FREED = 0.7
"""On a CPU: what glibc keeps of freed memory, for each byte of all activations (measured; it is as
much with checkpointing). A GPU's allocator uses freed blocks again."""
_FUSED = 10
"""Bytes for each token and hidden unit of liger's fused loss: logits are made in pieces of about
hidden / vocabulary of the tokens (Hsu et al. 2024), with the gradient of its input."""
_LIGER = frozenset(
    "gemma gemma2 gemma3 gemma3_text glm glm4 gpt_oss granite llama mistral mixtral olmo2 phi3 "
    "qwen2 qwen3 qwen3_moe qwen3_next qwen3_5".split()
)
"""The `model_type`s of text that the engine gives liger's kernels to
(model/model_utils/liger_kernel.py); others it passes over, with a line in its log."""


def of_tokens(need: Need, width: Precision) -> dict[str, float]:
    """What a micro-batch leaves between forward and backward."""
    samples = int(need.args.get("per_device_train_batch_size", 8)) * need.pairs
    tokens, shape = samples * need.length, need.shape
    layer, logits = _a_layer(need, width), _a_token_of_logits(need, width)
    every = layer * shape.layers
    activations = every
    if need.checkpointing:
        # What is added up from layer to layer is as wide as the embeddings that it starts from;
        # a layer is computed again after the logits are gone.
        each = width.state if need.method == "full" else width.frozen
        activations = each * shape.hidden * shape.layers + max(0.0, layer - logits)
    return {
        "activations": tokens * activations + samples * _mask(need, width),
        "logits": tokens * logits,
        "allocator": 0.0 if need.gpu else tokens * every * _FREED,
    }


def of_evaluation(need: Need, width: Precision) -> float:
    """Of a batch that is evaluated, its logits: all of them, for liger fuses the loss in training
    only. Nothing waits for a backward pass."""
    samples = int(need.args.get("per_device_eval_batch_size", 8)) * need.pairs
    each = 8 + (2 if _half(width) else 0)
    if need.compared:
        each = 16
    elif need.stage == "rm":
        each = _a_value(width)
    return samples * need.evaluated * need.shape.vocabulary * each


def _mask(need: Need, width: Precision) -> float:
    """Where packed samples are kept apart by a mask of every token by every other
    (data/collator.py); flash-attention 2 does so by their lengths."""
    if not need.args.get("neat_packing") or need.args.get("flash_attn") == "fa2":
        return 0.0
    return need.length**2 * (2 if _half(width) else 4)


def _a_layer(need: Need, width: Precision) -> float:
    """Bytes for a token in a layer: what autograd saves, counted as Korthikanti et al. (2022,
    section 4.1) do, for a decoder with RMSNorm, SwiGLU and fused attention."""
    shape = need.shape
    lora = need.method != "full"
    hidden, queries, keys, inner = shape.hidden, shape.queries, shape.keys, shape.inner
    if width.mixed and lora:
        own = 18 * hidden + 6 * queries + 4 * keys + 8 * inner
    elif width.mixed:
        own = 26 * hidden + 4 * queries + 4 * keys + 8 * inner
    elif (width.frozen if lora else width.trained) == 4:
        own = 4 * ((4 if lora else 6) * hidden + 2 * queries + 2 * keys + 4 * inner)
    elif lora and width.trained == 4:
        # The adapter is float32, and nothing else is: each matrix of it keeps its input anew.
        own = 28 * hidden + 8 * queries + 4 * keys + 10 * inner
    else:
        own = 16 * hidden + 4 * queries + 4 * keys + 8 * inner
    norms = 6 * (queries + keys) if shape.norms else 0
    eager = need.args.get("flash_attn") == "disabled"
    return own + norms + (6 * shape.heads * need.length if eager else 0)


def _a_token_of_logits(need: Need, width: Precision) -> float:
    """Bytes: three copies of its logits in float32 (log-softmax, its gradient, theirs). Where a
    reference model is compared with, its own come on top. A reward model makes logits and learns
    nothing from them (trl's value head)."""
    fused = need.args.get("enable_liger_kernel") and need.stage in ("cpt", "sft")
    if fused and need.gpu and need.shape.kind in _LIGER:
        return _FUSED * need.shape.hidden
    if need.stage == "rm":
        return need.shape.vocabulary * _a_value(width)
    return need.shape.vocabulary * (16 if need.compared else 12)


def _a_value(width: Precision) -> int:
    """Bytes of a logit that is made float32 and left."""
    return 6 if _half(width) else 4


def _half(width: Precision) -> bool:
    """Whether the model computes in half precision."""
    return width.mixed or width.frozen == 2
