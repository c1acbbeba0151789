"""Whether an adapter can be served: one plain LoRA adapter that fits its base.

What vLLM 0.32 refuses (or would get silently wrong) is refused here, before anything is
registered. Reads adapter_config.json and safetensors headers, never the values. Source: vLLM's
lora/peft_helper.py and lora/utils.py.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmops.errors import BadInput
from llmops.registry.files import ADAPTER_CONFIG, ADAPTER_WEIGHTS, headers, model_files, read_json
from llmops.registry.weights import Tensor, dtype_of, read_header
from llmops.spec.source import display

PREFIX = "base_model.model."
_A, _B = ".lora_A.weight", ".lora_B.weight"
_EMBEDDING = (".lora_embedding_A", ".lora_embedding_B")
_PLAIN_INITS = ("gaussian", "eva", "orthogonal", "mica", "lora_ga")
_MERGE = "merge it into its base (LLaMA-Factory: `export`) and add the merged model"


@dataclass(frozen=True)
class Adapter:
    """A servable adapter. rank: the highest of its modules; alpha: as its config says; base: the
    directory, Hub name or version that its config names; dtype: of its weights, by torch's name."""

    rank: int
    alpha: float
    base: str
    dtype: str | None
    tensors: dict[str, Tensor]


def read_adapter(directory: Path) -> Adapter:
    """The adapter in `directory`. Raises BadInput, with the reason, when it cannot be served."""
    place = directory / ADAPTER_CONFIG
    config = read_json(place)
    reasons = [reason for reason in _reasons(config) if reason]
    if reasons:
        raise BadInput(
            f"this adapter cannot be served: {'; '.join(reasons)}", where=display(place), fix=_MERGE
        )
    tensors = read_header(directory / ADAPTER_WEIGHTS)
    rank = _rank(config, tensors, directory)
    base = str(config.get("base_model_name_or_path") or "")
    return Adapter(rank, config["lora_alpha"], base, dtype_of(tensors), tensors)


def check_fits(adapter: Adapter, directory: Path, base: Path) -> None:
    """Raises BadInput when a module of the adapter has another shape in `base`.

    Modules that `base` stores under another name (fused experts, quantized weights) are left to
    the golden prompts, which each server compares.
    """
    weights = headers(base, model_files(base, "full"))
    for name, tensor in adapter.tensors.items():
        if not name.endswith(_A):
            continue
        module = name.removeprefix(PREFIX).removesuffix(_A)
        weight = weights.get(f"{module}.weight")
        other = adapter.tensors[name.removesuffix(_A) + _B]
        if weight is None or len(weight.shape) != 2 or weight.dtype in ("U8", "I8", "I32"):
            continue
        sides = (other.shape[0], tensor.shape[1])
        # GPT-2's Conv1D keeps its weight transposed.
        if weight.shape not in (sides, sides[::-1]):
            raise BadInput(
                f"the adapter does not fit its base: `{module}` is {list(weight.shape)} in the "
                f"base, {list(sides)} in the adapter",
                where=display(directory),
                fix=f"name the base that it was trained on, instead of {display(base)}",
            )


def _reasons(config: dict[str, Any]) -> list[str]:
    """Why vLLM cannot serve it as it is; empty strings where there is no reason."""
    kind = str(config.get("peft_type", ""))
    init = config.get("init_lora_weights", True)
    plain = not isinstance(init, str) or init.lower() in _PLAIN_INITS
    bias = config.get("bias", "none") not in (None, "none") or config.get("lora_bias")
    rank = config.get("r")
    alpha = config.get("lora_alpha")
    return [
        f"it is {kind or 'of no known kind'}, not LoRA" if kind != "LORA" else "",
        "it is a DoRA adapter" if config.get("use_dora") else "",
        "it trains biases" if bias else "",
        _saved_modules(config.get("modules_to_save")),
        "it trains token embeddings" if config.get("trainable_token_indices") else "",
        "" if plain else f"its start `{init}` changes the weights of the base",
        "it is an activated LoRA" if config.get("alora_invocation_tokens") else "",
        "it replicates layers" if config.get("layer_replication") else "",
        "it is block-diagonal" if config.get("use_bdlora") else "",
        "it is a QALoRA adapter" if config.get("use_qalora") else "",
        "" if isinstance(rank, int) and rank > 0 else f"its rank `r` is {rank!r}",
        "" if isinstance(alpha, int | float) else f"its `lora_alpha` is {alpha!r}",
    ]


def _saved_modules(modules: Any) -> str:
    if not modules:
        return ""
    return "it carries whole modules (modules_to_save: " + ", ".join(map(str, modules)) + ")"


def _rank(config: dict[str, Any], tensors: dict[str, Tensor], directory: Path) -> int:
    """The highest rank, after checking that the tensors are pairs of A and B and nothing else."""
    ranks = {int(config["r"])}
    pattern = config.get("rank_pattern") or {}
    for name, tensor in tensors.items():
        if name.endswith(_EMBEDDING):
            continue
        paired = name.removesuffix(_A) + _B if name.endswith(_A) else name.removesuffix(_B) + _A
        if not name.endswith((_A, _B)) or len(tensor.shape) != 2 or paired not in tensors:
            raise _unservable(directory, f"`{name}` is not half of a LoRA pair")
        if not name.startswith(PREFIX):
            # vLLM would load it and change nothing.
            raise _unservable(directory, f"`{name}` does not begin with `{PREFIX}`")
        rank = tensor.shape[0] if name.endswith(_A) else tensor.shape[1]
        if rank not in ranks and not pattern:
            raise _unservable(directory, f"`{name}` has rank {rank}, its config says {config['r']}")
        ranks.add(rank)
    if not tensors:
        raise _unservable(directory, "it holds no tensors")
    return max(ranks)


def _unservable(directory: Path, reason: str) -> BadInput:
    return BadInput(
        f"this adapter cannot be served: {reason}",
        where=display(directory / ADAPTER_WEIGHTS),
        fix=_MERGE,
    )
