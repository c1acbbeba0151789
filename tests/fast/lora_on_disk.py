"""Models and adapters with weights that matter, for the tests of what is made of them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llmops.publish.tensors import rounded, write

MODULE = "model.layers.0.self_attn.q_proj"
OTHER = "model.layers.0.mlp.down_proj"
SIZES = {MODULE: (6, 4), OTHER: (4, 8), "model.embed_tokens": (8, 4)}
"""Rows and columns of the weights of the base."""

Matrix = NDArray[np.float32]


def random(seed: int, *shape: int) -> Matrix:
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def write_base(directory: Path, dtype: str = "F32", **config: Any) -> Path:
    """A full model; its weights are random."""
    directory.mkdir(parents=True)
    (directory / "config.json").write_text(json.dumps({"model_type": "llama", **config}))
    (directory / "tokenizer.json").write_text("{}")
    weights = {f"{name}.weight": random(n, *size) for n, (name, size) in enumerate(SIZES.items())}
    kept = {name: rounded(weight, dtype) for name, weight in weights.items()}
    write(directory / "model.safetensors", kept, dtype)
    return directory


def write_lora(
    directory: Path, factors: dict[str, tuple[Matrix, Matrix]], dtype: str = "F32", **config: Any
) -> Path:
    """An adapter of the given A (rank x in) and B (out x rank) by module."""
    directory.mkdir(parents=True)
    rank = next(iter(factors.values()))[0].shape[0]
    known = {"peft_type": "LORA", "r": rank, "lora_alpha": 2 * rank, **config}
    (directory / "adapter_config.json").write_text(json.dumps(known))
    tensors = {}
    for module, (a, b) in factors.items():
        tensors[f"base_model.model.{module}.lora_A.weight"] = rounded(a, dtype)
        tensors[f"base_model.model.{module}.lora_B.weight"] = rounded(b, dtype)
    write(directory / "adapter_model.safetensors", tensors, dtype)
    return directory


def some_factors(rank: int = 2) -> dict[str, tuple[Matrix, Matrix]]:
    """Of two modules of the base."""
    sizes = {MODULE: SIZES[MODULE], OTHER: SIZES[OTHER]}
    return {
        module: (random(7 + n, rank, columns), random(9 + n, rows, rank))
        for n, (module, (rows, columns)) in enumerate(sizes.items())
    }
