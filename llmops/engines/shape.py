"""The size of a decoder model, read from its config and the headers of its weights, or from an
architecture that is yet to be made."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from llmops.errors import LlmopsError
from llmops.registry.files import headers, model_files


@dataclass(frozen=True)
class Shape:
    """parameters: all, of which `embeddings` are in no layer; inner: of the feed-forward block, of
    all experts that a token meets; queries, keys: width of a token's queries and of its keys;
    bytes_each: of one weight as stored; norms: whether queries and keys have norms of their own;
    experts: of the parameters, those of experts that a token chooses among; kind: transformers'
    `model_type`."""

    parameters: int
    embeddings: int
    hidden: int
    inner: int
    layers: int
    heads: int
    queries: int
    keys: int
    vocabulary: int
    bytes_each: int = 4
    norms: bool = False
    experts: int = 0
    kind: str = ""


_OTHER = ("vision_config", "audio_config", "quantization_config")
"""Of models that see or hear, or whose weights are packed: what they take is not known here."""


def more_than_text(config: Mapping[str, Any]) -> bool:
    """Whether a model of such a config is of those."""
    return any(config.get(key) for key in _OTHER)


def shape_of(directory: Path) -> Shape | None:
    """The shape of the full model in a directory; None when its config has other names, or it is
    more than text in plain weights."""
    try:
        config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
        if not isinstance(config, dict) or more_than_text(config):
            return None
        tensors = headers(directory, model_files(directory, "full"))
        # What a config leaves out is its architecture's default.
        config["tie_word_embeddings"] = not any("lm_head" in name for name in tensors)
        parameters = sum(tensor.elements for tensor in tensors.values())
        width = {"F32": 4, "F64": 8}.get(next(iter(tensors.values())).dtype, 2)
        norms = any("q_norm" in name for name in tensors)
        experts = sum(one.elements for name, one in tensors.items() if ".experts." in name)
        found = _shape(config, config["vocab_size"], parameters, width, norms=norms)
        return replace(found, experts=experts)
    except (OSError, ValueError, LookupError, TypeError, StopIteration, LlmopsError):
        return None


def shape_of_architecture(
    architecture: Mapping[str, Any], vocabulary: int, bytes_each: int = 4
) -> Shape | None:
    """The shape of a decoder that is yet to be made; None when its config has other names, or
    experts."""
    if architecture.get("num_experts_per_tok"):
        return None
    try:
        return _shape(architecture, vocabulary, None, bytes_each)
    except (LookupError, TypeError):
        return None


def _shape(
    config: Mapping[str, Any],
    vocabulary: int,
    parameters: int | None,
    width: int,
    *,
    norms: bool = False,
) -> Shape:
    """parameters: counted, where there is something to count."""
    hidden, layers, heads = (
        int(config[key]) for key in ("hidden_size", "num_hidden_layers", "num_attention_heads")
    )
    each = config.get("head_dim") or hidden // heads
    keys = each * (config.get("num_key_value_heads") or heads)
    inner = config["intermediate_size"]
    if config.get("num_experts_per_tok"):
        inner = config.get("moe_intermediate_size", inner) * config["num_experts_per_tok"]
    embeddings = vocabulary * hidden * (1 if config.get("tie_word_embeddings") else 2)
    layer = 2 * hidden * (each * heads + keys) + 3 * hidden * inner
    return Shape(
        parameters or layers * layer + embeddings,
        embeddings,
        hidden,
        inner,
        layers,
        heads,
        each * heads,
        keys,
        vocabulary,
        width,
        norms,
        kind=str(config.get("model_type", "")),
    )
