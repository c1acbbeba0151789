"""An adapter whose rank has grown, as the nearest adapter of a smaller rank.

Of each module's product `b a` the largest singular values are kept, which is the nearest matrix of
that rank (Eckart and Young). It is never formed: with b = Q R and a^T = P S, the singular values of
`b a` are those of the small R S^T. Done in float64; the new factors share the singular values
evenly and are rounded to the dtype that the adapter is stored in.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from llmops.errors import BadInput, Failed
from llmops.publish.factors import A, B, Factors, read_product
from llmops.publish.tensors import as_floats, rounded, write
from llmops.registry.adapters import PREFIX
from llmops.registry.files import ADAPTER_CONFIG, ADAPTER_WEIGHTS
from llmops.spec.deployment import LoraRank
from llmops.spec.source import display
from llmops.store.atomic import write_json

_SERVED: tuple[int, ...] = get_args(LoraRank)


@dataclass(frozen=True)
class Compressed:
    """error: what is lost of all products together, as a share (Frobenius norms); modules: the
    same of each."""

    rank: int
    before: int
    error: float
    modules: Mapping[str, float]

    @property
    def worst(self) -> str:
        return max(self.modules, key=self.modules.__getitem__)

    @property
    def room(self) -> int:
        """The least `backend.lora.max_rank` of a deployment that serves it."""
        return next((size for size in _SERVED if size >= self.rank), self.rank)


def compress(adapter: Path, rank: int, target: Path) -> Compressed:
    """Write the adapter in directory `adapter` with rank `rank` into the directory `target`.

    Raises BadInput when it has no higher rank.
    """
    product = read_product(adapter)
    before = max(factors.rank for factors in product.factors.values())
    if not 0 < rank < before:
        raise BadInput(
            f"rank {rank} is not below the adapter's own, {before}",
            where=display(adapter),
            fix=f"name one from 1 to {before - 1}; vLLM makes room for "
            + ", ".join(map(str, _SERVED)),
        )
    tensors: dict[str, NDArray[Any]] = {}
    norms, lost = {}, {}
    for module, factors in product.factors.items():
        smaller = _nearest(factors, rank)
        for part, values in ((A, smaller.a), (B, smaller.b)):
            tensors[PREFIX + module + part] = rounded(values, product.dtype)
        norms[module] = _norm(factors)
        # What is stored, with its rounding.
        held = {part: tensors[PREFIX + module + part] for part in (A, B)}
        kept = Factors(*(as_floats(held[part], product.dtype) for part in (A, B)))
        if not (np.isfinite(kept.a).all() and np.isfinite(kept.b).all()):
            raise Failed(
                f"`{module}` leaves the range of {product.dtype} at rank {rank}",
                where=display(adapter),
                fix="save the adapter as bfloat16 or float32, add it, and compress that",
            )
        lost[module] = _norm(_difference(factors, kept))
    write(target / ADAPTER_WEIGHTS, tensors, product.dtype)
    write_json(target / ADAPTER_CONFIG, _config(product.config, rank))
    total = float(np.linalg.norm(list(norms.values())))
    return Compressed(
        rank,
        before,
        float(np.linalg.norm(list(lost.values()))) / total if total else 0.0,
        {module: lost[module] / norms[module] if norms[module] else 0.0 for module in lost},
    )


def _nearest(factors: Factors, rank: int) -> Factors:
    """Zeros fill up where a module has less than `rank`."""
    left, r = np.linalg.qr(factors.b.astype(np.float64))
    right, s = np.linalg.qr(factors.a.T.astype(np.float64))
    u, values, v = np.linalg.svd(r @ s.T)
    count = min(rank, len(values))
    roots = np.sqrt(values[:count])
    a = np.zeros((rank, factors.a.shape[1]))
    b = np.zeros((factors.b.shape[0], rank))
    a[:count] = roots[:, None] * (v[:count] @ right.T)
    b[:, :count] = (left @ u[:, :count]) * roots
    return Factors(a, b)  # type: ignore[arg-type]


def _norm(factors: Factors) -> float:
    """Frobenius, of `b @ a`, without forming it: the trace of b^T b a a^T."""
    a, b = factors.a.astype(np.float64), factors.b.astype(np.float64)
    return math.sqrt(max(0.0, float(np.vdot(b.T @ b, a @ a.T))))


def _difference(one: Factors, other: Factors) -> Factors:
    """Whose product is that of `one` less that of `other`."""
    return Factors(np.concatenate([one.a, other.a]), np.concatenate([one.b, -other.b], axis=1))


def _config(config: Mapping[str, Any], rank: int) -> dict[str, Any]:
    """The factors hold the scale: alpha is the rank, whatever it was computed from."""
    plain = {"rank_pattern": {}, "alpha_pattern": {}, "use_rslora": False}
    return {**config, **plain, "r": rank, "lora_alpha": rank, "init_lora_weights": True}
