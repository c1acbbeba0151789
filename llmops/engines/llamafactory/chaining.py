"""How a stage trains on a base that is itself an adapter on a model.

The default makes a new adapter with the earlier one merged in memory, so that the reference model
of DPO and KTO is right at no cost, and concatenates both afterwards into one plain adapter on the
same base. Where the engine cannot merge (a quantized base, ZeRO-3, unsloth, KTransformers) the
earlier adapter is trained on, with an explicit reference model. What a server could not load, or
concatenation could not express, is refused before anything starts.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from llmops.engines.contract import ModelFiles
from llmops.engines.llamafactory.optionfiles import zero_of
from llmops.engines.llamafactory.rules.base import fits_base, modules
from llmops.engines.llamafactory.rules.method import needs_reference
from llmops.registry.files import ADAPTER_WEIGHTS
from llmops.registry.weights import read_header
from llmops.spec.load import Loaded
from llmops.spec.recipe import TrainRecipe
from llmops.store.files import read_object

# Options whose adapter no server loads, or that is not one on the base as it lies on disk.
_NOT_AN_ADAPTER: dict[str, str] = {
    "use_dora": "vLLM does not load DoRA adapters",
    "additional_target": "whole modules saved beside the adapter are refused by vLLM",
    "resize_vocab": "new embeddings are saved beside the adapter, which vLLM refuses",
    "add_tokens": "new embeddings are saved beside the adapter, which vLLM refuses",
    "add_special_tokens": "new embeddings are saved beside the adapter, which vLLM refuses",
    "new_special_tokens_config": "new embeddings are saved beside the adapter, which vLLM refuses",
    "pissa_init": "PiSSA changes the base, so the adapter does not fit the base that is served",
    "pissa_convert": "PiSSA changes the base, so the adapter does not fit the base that is served",
    "use_llama_pro": "block expansion changes the base, so the adapter does not fit it",
    "train_from_scratch": "it trains on random weights, so the adapter does not fit the base",
    "mixture_of_depths": "it changes the base, so the adapter does not fit it",
}

_LARGEST_RANK = 512
"""The last of vLLM's `--max-lora-rank`."""
_EMBEDDINGS = ("embed_tokens", "wte", "word_embeddings", "embed_in", "tok_embeddings")
_OF_ADAPTER = {
    "lora_rank": "r",
    "lora_alpha": "lora_alpha",
    "lora_dropout": "lora_dropout",
    "lora_target": "target_modules",
    "use_rslora": "use_rslora",
}
"""Options that make a new adapter, by the keys of its config (model/adapter.py, peft)."""


@dataclass(frozen=True)
class Chain:
    """options: what the engine gets. concatenate: the new adapter is put on top of `adapter`,
    the earlier one, after training; reason: why not. makes: what is registered, full or adapter.
    before, rank: of the earlier adapter and of the one that is made, None where there is none or
    it is not known yet."""

    makes: str
    options: dict[str, Any] = field(default_factory=dict)
    adapter: Path | None = None
    concatenate: bool = False
    reason: str = ""
    before: int | None = None
    rank: int | None = None


def check_chain(recipe: Loaded[TrainRecipe]) -> None:
    """Refuse, by key, what does not make a version that can be served."""
    method = _method(recipe)
    if method == "oft":
        raise recipe.bad(
            "OFT adapters are not served by vLLM",
            ("args", "finetuning_type"),
            fix="use `lora`, `full` or `freeze`",
        )
    if method == "lora":
        if _own_rank(recipe) > _LARGEST_RANK:
            raise recipe.bad(
                f"vLLM serves adapters up to rank {_LARGEST_RANK}",
                ("args", "lora_rank"),
                fix="write a smaller one",
            )
        for key, reason in _NOT_AN_ADAPTER.items():
            if recipe.spec.args.get(key):
                raise recipe.bad(
                    reason,
                    ("args", key),
                    fix=f"leave `{key}` out, or train a new base with `finetuning_type: full`",
                )


def chain(recipe: Loaded[TrainRecipe], base: ModelFiles) -> Chain:
    """Decide for `base`. Raises BadInput."""
    check_chain(recipe)
    fits_base(recipe, base)
    method = _method(recipe)
    makes = "adapter" if method == "lora" else "full"
    if base.adapter is None:
        return Chain(makes, rank=_own_rank(recipe) if makes == "adapter" else None)
    if method != "lora":
        raise recipe.bad(
            f"`finetuning_type: {method}` cannot start from an adapter version",
            ("args", "finetuning_type") if "finetuning_type" in recipe.spec.args else ("base",),
            fix="use `lora`, or start from what `llmops models merge NAME:vN` makes of it",
        )
    reason, before = _unmergeable(recipe, base), _rank_of(base)
    if reason is None:
        total = None if before is None else before + _own_rank(recipe)
        _check_sum_of_ranks(recipe, before, total)
        _check_embeddings(recipe, base.adapter)
        options = {"adapter_name_or_path": str(base.adapter), "create_new_adapter": True}
        return Chain(makes, options, base.adapter, concatenate=True, before=before, rank=total)
    _check_same(recipe, base.adapter, reason)
    options = _continued(recipe, base)
    return Chain(makes, options, base.adapter, reason=reason, before=before, rank=before)


def _method(recipe: Loaded[TrainRecipe]) -> str:
    return str(recipe.spec.args.get("finetuning_type", "lora"))


def _unmergeable(recipe: Loaded[TrainRecipe], base: ModelFiles) -> str | None:
    """Why the engine cannot merge an adapter in memory; None when it can."""
    args = recipe.spec.args
    if args.get("quantization_bit") is not None:
        return "the base is quantized"
    # The files of a base that is yet to be made are not there.
    if read_object(base.directory / "config.json").get("quantization_config"):
        return "the base is quantized"
    for key, name in (("use_unsloth", "unsloth"), ("use_kt", "KTransformers")):
        if args.get(key):
            return f"{name} does not merge adapters"
    return "DeepSpeed ZeRO-3 does not merge adapters" if zero_of(recipe).get("stage") == 3 else None


def _continued(recipe: Loaded[TrainRecipe], base: ModelFiles) -> dict[str, Any]:
    """Train the earlier adapter on; its own start is the reference, as a second model."""
    args = recipe.spec.args
    options: dict[str, Any] = {"adapter_name_or_path": str(base.adapter)}
    if needs_reference(recipe):
        options["ref_model"] = str(base.directory)
        options["ref_model_adapters"] = str(base.adapter)
        if args.get("quantization_bit") in (4, 8):
            options["ref_model_quantization_bit"] = args["quantization_bit"]
    return options


def _own_rank(recipe: Loaded[TrainRecipe]) -> int:
    return int(recipe.spec.args.get("lora_rank", 8))


def _rank_of(base: ModelFiles) -> int | None:
    """Of the base's adapter."""
    if base.rank is not None or base.adapter is None:
        return base.rank
    rank = read_object(base.adapter / "adapter_config.json").get("r")
    return rank if isinstance(rank, int) else None


def _check_sum_of_ranks(recipe: Loaded[TrainRecipe], before: int | None, total: int | None) -> None:
    if total is not None and total > _LARGEST_RANK:
        raise recipe.bad(
            f"on the base's adapter of rank {before} this makes one of rank {total}, and "
            f"vLLM serves {_LARGEST_RANK} at most",
            ("args", "lora_rank") if "lora_rank" in recipe.spec.args else ("base",),
            fix="use a smaller rank, start from an earlier version, or from what `llmops models "
            "compress NAME:vN --rank R` makes of this one",
        )


def _check_embeddings(recipe: Loaded[TrainRecipe], adapter: Path) -> None:
    """Two adapters on token embeddings are no sum of matrices that makes one."""
    targets = modules(recipe.spec.args.get("lora_target"))
    found = next((name for name in _EMBEDDINGS if name in targets), None)
    if found is not None:
        raise recipe.bad(
            f"an adapter on `{found}` cannot be put together with the base's own",
            ("args", "lora_target"),
            fix="leave it out, or start from a full model",
        )
    if (adapter / ADAPTER_WEIGHTS).is_file() and any(
        ".lora_embedding_" in name for name in read_header(adapter / ADAPTER_WEIGHTS)
    ):
        raise recipe.bad(
            "the base's adapter is on token embeddings: it cannot be put together with another",
            ("base",),
            fix="merge it into a model (LLaMA-Factory: `export`), and add that with "
            "`llmops models add NAME PATH`",
        )


def _check_same(recipe: Loaded[TrainRecipe], adapter: Path, reason: str) -> None:
    """What the recipe says of an adapter that is trained on must be what that one is."""
    config = read_object(adapter / "adapter_config.json")
    for option, theirs in _OF_ADAPTER.items():
        asked, there = recipe.spec.args.get(option), config.get(theirs)
        same = asked == there
        if option == "lora_target":
            # As text it is a pattern.
            same = isinstance(there, str) or set(modules(asked)) in ({"all"}, set(modules(there)))
        if asked is not None and there is not None and not same:
            raise recipe.bad(
                f"`{option}: {_shown(asked)}` would have no effect: {reason}, so the base's own "
                f"adapter is trained on, which has {_shown(there)}",
                ("args", option),
                fix="write that, or leave it out",
            )


def _shown(value: Any) -> str:
    return ", ".join(sorted(value)) if isinstance(value, list) else str(value)
