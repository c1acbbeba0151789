"""An adapter added into its base's weights: a full model that needs no adapter any more.

Each module's product is added to its weight in float32, and rounded once to the dtype that the base
is stored in. The base's files are copied and changed in place, module by module and in blocks, so
memory holds a block, not a model; whatever the adapter does not touch stays the base's, byte by
byte, tokenizer and chat template included.
"""

import shutil
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from llmops.engines.contract import ModelFiles
from llmops.errors import BadInput, Failed
from llmops.publish.factors import Factors, read_product
from llmops.publish.tensors import NUMPY, Floats, Stored, as_floats, rounded
from llmops.registry.adapters import check_fits, read_adapter
from llmops.registry.files import VALUE_HEAD, model_files, read_json
from llmops.registry.intake import Progress, copy_files
from llmops.spec.source import display
from llmops.store.digest import sha256_tree

_BLOCK = 1 << 16
"""Figures of a weight that are worked on at once: what fits into a processor's cache."""


@dataclass(frozen=True)
class Merged:
    """modules: how many weights changed; lost: the share of what the adapter adds that the base's
    dtype rounds away (Frobenius norms, over all modules)."""

    modules: int
    lost: float


def merge(
    files: ModelFiles,
    digest: str,
    target: Path,
    progress: Progress | None = None,
) -> Merged:
    """Write base + adapter into the directory `target`, which is empty. digest: sha256 over the
    base's files; progress: as of `Registry.add`, for the copy that is then changed.

    Raises BadInput when the base is quantized or has no weight for a module, Failed when it is not
    as it was registered, or its dtype cannot hold the sum.
    """
    assert files.adapter is not None
    base, product = files.directory, read_product(files.adapter)
    check_fits(read_adapter(files.adapter), files.adapter, base)
    _check_plain(base, product.factors)
    names = model_files(base, "full")
    holders = _holders(base, names, list(product.factors))
    transposed = bool(product.config.get("fan_in_fan_out"))
    total = left = 0.0
    if sha256_tree(copy_files(base, names, target, progress)) != digest:
        raise Failed(
            "the base is not what it was when it was registered or last read: nothing was merged",
            where=display(base),
            fix="`llmops models verify` tells what changed",
        )
    for name, modules in holders.items():
        stored = Stored(target / name, writable=True)
        for module in modules:
            added, lost = _add(stored, module, product.factors[module], transposed)
            total, left = total + added, left + lost
    if (files.adapter / VALUE_HEAD).is_file():
        shutil.copyfile(files.adapter / VALUE_HEAD, target / VALUE_HEAD)
    _check_changed(total, left, files.adapter)
    return Merged(len(product.factors), (left / total) ** 0.5)


def _check_plain(base: Path, modules: Collection[str]) -> None:
    """Raises BadInput when the weights in `base` are quantized, or what is added to would not be
    read: a head that is tied may lie in the files, too."""
    config = read_json(base / "config.json")
    if config.get("quantization_config"):
        raise BadInput(
            "the base is quantized: nothing can be added to its weights",
            where=display(base),
            fix="add the adapter on the model that the base was quantized from "
            "(`llmops models add NAME ADAPTER --base FULL`), and merge that version",
        )
    if config.get("tie_word_embeddings") and "lm_head" in modules:
        raise BadInput(
            "the adapter is on `lm_head`, and the base ties it to its embeddings",
            where=display(base),
            fix="train again without it among `lora_target`",
        )


def _holders(base: Path, names: list[str], modules: list[str]) -> dict[str, list[str]]:
    """Which weight file holds which modules."""
    found: dict[str, list[str]] = {}
    held = {
        tensor: (name, stored)
        for name in names
        if name.endswith(".safetensors")
        for tensor, stored in Stored(base / name).tensors.items()
    }
    for module in modules:
        name, stored = held.get(f"{module}.weight", ("", None))
        if stored is None or stored.dtype not in NUMPY or len(stored.shape) != 2:
            what = "has none" if stored is None else f"stores it as {stored.dtype}"
            raise BadInput(
                f"the adapter is on `{module}`, and the base {what}",
                where=display(base),
                fix="such a base (tied, fused or quantized weights) is merged by peft where it was "
                "trained; add the result with `llmops models add NAME PATH`",
            )
        found.setdefault(name, []).append(module)
    return found


def _add(stored: Stored, module: str, factors: Factors, transposed: bool) -> tuple[float, float]:
    """Add one product. Returns the squared norms of what was to be added and of what rounding
    took from it."""
    name = f"{module}.weight"
    weight, dtype = stored.raw(name), stored.tensors[name].dtype
    left, right = factors.b, factors.a
    sides = (left.shape[0], right.shape[1])
    # Of a model with both kinds of layers the flag tells of the last one only; the shape of each.
    if weight.shape != sides or (transposed and weight.shape == sides[::-1]):
        left, right = factors.a.T, factors.b.T
    added = lost = 0.0
    for rows in _blocks(weight.shape):
        before = as_floats(weight[rows], dtype)
        delta: Floats = left[rows] @ right
        after = rounded(before + delta, dtype)
        kept = as_floats(after, dtype) - before
        if not np.isfinite(kept).all():
            raise Failed(
                f"`{module}` leaves the range of {dtype} when the adapter is added",
                fix="make the base again in bfloat16 or float32, and the adapter on that",
            )
        weight[rows] = after
        added += float(np.vdot(delta, delta))
        delta -= kept
        lost += float(np.vdot(delta, delta))
    weight.flush()  # type: ignore[attr-defined]
    return added, lost


def _blocks(shape: tuple[int, ...]) -> Iterator[slice]:
    rows = max(1, _BLOCK // max(1, shape[1]))
    return (slice(start, start + rows) for start in range(0, shape[0], rows))


def _check_changed(total: float, left: float, adapter: Path) -> None:
    """An adapter of zeros, or one that rounding swallows, makes nothing but a copy of its base."""
    if left >= total:
        raise Failed(
            "the merged weights are those of the base: the adapter adds nothing that their dtype "
            "can hold",
            where=display(adapter),
            fix="look at what it learned (`llmops models show`), or make the base in float32",
        )
