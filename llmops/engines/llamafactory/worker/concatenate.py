"""Two LoRA adapters, the second trained on top of the first, as one adapter on their base.

Run by path with the engine environment's Python: `PYTHON concatenate.py FIRST SECOND OUT`. No
model is loaded. With base W and scale s (alpha/r, or alpha/sqrt(r) for rsLoRA), W + s1 B1 A1 +
s2 B2 A2 is W + [s1 B1 | s2 B2] [A1 ; A2]: stack the As, stack the scaled Bs, and let the new alpha
be the new rank, so that its scale is 1. Exact but for rounding: the Bs are scaled in float32 and
then cast to the adapters' type, for bfloat16 that costs up to 2^-9 of each figure.

Covers plain LoRA on linear layers. Where ranks or targets differ, zeros fill up to one uniform
rank. Anything that is not a sum of such products (DoRA, biases, whole saved modules, embeddings,
weights initialised by changing the base) is refused.
"""

import json
import os
import re
import sys
from dataclasses import dataclass
from typing import Any

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"

_A = ".lora_A.weight"
_B = ".lora_B.weight"
_PREFIX = "base_model.model."

# Each means something that a sum of products cannot say. The names are peft's.
_REFUSED = (
    "use_dora",
    "modules_to_save",
    "lora_bias",
    "trainable_token_indices",
    "target_parameters",
    "layer_replication",
    "alora_invocation_tokens",
    "use_qalora",
    "arrow_config",
)
_CHANGES_THE_BASE = ("pissa", "olora", "corda", "loftq")


class Refused(Exception):
    """The adapters cannot be expressed as one plain LoRA adapter."""


@dataclass(frozen=True)
class Adapter:
    """An adapter's config, and by module the factors A (r x in) and scale * B (out x r)."""

    config: dict[str, Any]
    factors: dict[str, tuple[Any, Any]]
    dtype: Any


def concatenate(first: str, second: str, out: str) -> int:
    """Write the adapter that equals `first` then `second`, and return its rank.

    first: the directory of the adapter that was there; second: of the one trained on base+first.
    Raises Refused.
    """
    import torch
    from safetensors.torch import save_file

    one, two = read(first), read(second)
    modules = sorted({*one.factors, *two.factors})
    rank = max(_rank(one, module) + _rank(two, module) for module in modules)
    dtype = torch.promote_types(one.dtype, two.dtype)
    tensors: dict[str, Any] = {}
    for module in modules:
        a, b = _stacked(module, one, two, rank)
        tensors[_PREFIX + module + _A] = a.to(dtype).contiguous()
        tensors[_PREFIX + module + _B] = b.to(dtype).contiguous()
    os.makedirs(out, exist_ok=True)
    save_file(tensors, os.path.join(out, WEIGHTS), metadata={"format": "pt"})
    with open(os.path.join(out, CONFIG), "w", encoding="utf-8") as file:
        json.dump(_config(two.config, modules, rank), file, indent=2, sort_keys=True)
    return rank


def read(directory: str) -> Adapter:
    """The adapter in `directory`, scaled. Raises Refused unless it is plain LoRA."""
    from safetensors.torch import load_file

    try:
        with open(os.path.join(directory, CONFIG), encoding="utf-8") as file:
            config: dict[str, Any] = json.load(file)
        tensors = load_file(os.path.join(directory, WEIGHTS))
    except FileNotFoundError as error:
        raise Refused(f"no adapter in {directory}: {os.path.basename(error.filename)}") from error
    _check(config, directory)
    modules = {name[: -len(_A)] for name in tensors if name.endswith(_A)}
    expected = {module + part for module in modules for part in (_A, _B)}
    strange = sorted(expected ^ tensors.keys())
    if strange or not modules:
        raise Refused(f"{directory}: `{(strange or [WEIGHTS])[0]}` is not part of plain LoRA")
    factors = {}
    for module in modules:
        a, b = tensors[module + _A], tensors[module + _B]
        if a.ndim != 2 or b.ndim != 2:
            raise Refused(f"{directory}: `{module}` is not a linear layer")
        name = module.removeprefix(_PREFIX)
        factors[name] = (a.float(), b.float() * scale(config, name, a.shape[0]))
    return Adapter(config, factors, next(iter(tensors.values())).dtype)


def scale(config: dict[str, Any], module: str, rank: int) -> float:
    """What peft multiplies B A by in `module`, whose factors have rank `rank`."""
    alpha = float(config["lora_alpha"])
    for pattern, value in (config.get("alpha_pattern") or {}).items():
        if re.match(rf"(.*\.)?({pattern})$", module):
            alpha = float(value)
            break
    return alpha / (rank**0.5 if config.get("use_rslora") else rank)


def _check(config: dict[str, Any], directory: str) -> None:
    if config.get("peft_type") != "LORA":
        raise Refused(f"{directory}: a {config.get('peft_type')} adapter, where LORA is expected")
    for key in _REFUSED:
        if config.get(key):
            raise Refused(f"{directory}: `{key}` cannot be concatenated; merge into a new base")
    if config.get("bias", "none") != "none":
        raise Refused(f"{directory}: `bias: {config['bias']}` cannot be concatenated")
    start = config.get("init_lora_weights")
    if isinstance(start, str) and start.startswith(_CHANGES_THE_BASE):
        raise Refused(f"{directory}: `{start}` changes the base, which stays as it was elsewhere")


def _rank(adapter: Adapter, module: str) -> int:
    found = adapter.factors.get(module)
    return int(found[0].shape[0]) if found is not None else 0


def _stacked(module: str, one: Adapter, two: Adapter, rank: int) -> tuple[Any, Any]:
    """Both adapters' factors of one module, with zeros up to `rank`."""
    import torch

    parts = [x.factors[module] for x in (one, two) if module in x.factors]
    if len({(a.shape[1], b.shape[0]) for a, b in parts}) != 1:
        raise Refused(f"`{module}` has different sizes in the two adapters: not the same base")
    a = torch.cat([part[0] for part in parts], dim=0)
    b = torch.cat([part[1] for part in parts], dim=1)
    missing = rank - a.shape[0]
    return (
        torch.nn.functional.pad(a, (0, 0, 0, missing)),
        torch.nn.functional.pad(b, (0, missing)),
    )


def _config(config: dict[str, Any], modules: list[str], rank: int) -> dict[str, Any]:
    """The second adapter's config with what concatenation changed."""
    return {
        **config,
        "r": rank,
        "lora_alpha": rank,
        "rank_pattern": {},
        "alpha_pattern": {},
        "use_rslora": False,
        "init_lora_weights": True,
        "target_modules": sorted({module.rpartition(".")[2] for module in modules}),
        "layers_to_transform": None,
        "layers_pattern": None,
    }


def main() -> None:
    if len(sys.argv) != 4:
        sys.exit("usage: concatenate.py FIRST SECOND OUT")
    try:
        rank = concatenate(*sys.argv[1:])
    except Refused as error:
        sys.exit(f"error: {error}")
    print(f"rank {rank}: {sys.argv[3]}")


if __name__ == "__main__":
    main()
