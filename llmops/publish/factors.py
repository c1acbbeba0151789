"""A plain LoRA adapter as what it adds to each weight: the product of two small factors."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from llmops.engines.llamafactory.worker.concatenate import scale
from llmops.errors import BadInput
from llmops.publish.tensors import NUMPY, Floats, Stored
from llmops.registry.adapters import PREFIX, read_adapter
from llmops.registry.files import ADAPTER_CONFIG, ADAPTER_WEIGHTS, read_json
from llmops.spec.source import display

A, B = ".lora_A.weight", ".lora_B.weight"


@dataclass(frozen=True)
class Factors:
    """What one module gains is `b @ a`: b is out x rank, with the adapter's scale in it, and a is
    rank x in."""

    a: Floats
    b: Floats

    @property
    def rank(self) -> int:
        return int(self.a.shape[0])


@dataclass(frozen=True)
class Product:
    """An adapter. factors: by module, such as `model.layers.0.self_attn.q_proj`; dtype: that it is
    stored in, by the format's name."""

    config: Mapping[str, Any]
    factors: Mapping[str, Factors]
    dtype: str


def read_product(directory: Path) -> Product:
    """The adapter in `directory`. Raises BadInput unless it is plain LoRA on linear layers."""
    read_adapter(directory)
    config = read_json(directory / ADAPTER_CONFIG)
    stored = Stored(directory / ADAPTER_WEIGHTS)
    factors = {}
    for name, tensor in stored.tensors.items():
        if not name.endswith((A, B)):
            raise BadInput(
                f"`{name}` is on token embeddings, which is no sum of matrices that can be merged "
                "or compressed",
                where=display(directory),
                fix="train again without the embeddings among `lora_target`",
            )
        if tensor.dtype not in NUMPY:
            raise _odd(name, f"is {tensor.dtype}", directory)
        if not np.isfinite(stored.floats(name)).all():
            raise _odd(name, "holds what is no number", directory)
        if name.endswith(A):
            stem = name.removesuffix(A)
            a, b = stored.floats(name), stored.floats(stem + B)
            module = stem.removeprefix(PREFIX)
            factors[module] = Factors(a, b * scale(config, module, a.shape[0]))
    return Product(config, factors, next(iter(stored.tensors.values())).dtype)


def _odd(name: str, what: str, directory: Path) -> BadInput:
    return BadInput(
        f"the adapter's `{name}` {what}",
        where=display(directory),
        fix="save it as float32, float16 or bfloat16; if its training went wrong, train it again",
    )
