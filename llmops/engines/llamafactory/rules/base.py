"""What a recipe asks of the model that it trains, as its files say. A base that is yet to be made
has none; then nothing is refused."""

from collections.abc import Iterable
from typing import Any

from llmops.engines.contract import ModelFiles
from llmops.engines.llamafactory.optionfiles import zero_of
from llmops.errors import LlmopsError
from llmops.registry.files import headers, model_files
from llmops.spec.load import Loaded
from llmops.spec.recipe import TrainRecipe
from llmops.spec.suggest import did_you_mean
from llmops.store.files import read_object

_UNPACKED = ("mxfp4", "fp8")
"""Quantized bases whose weights the engine makes whole again before it trains."""


def fits_base(recipe: Loaded[TrainRecipe], base: ModelFiles) -> None:
    """Raises BadInput for what the files of the base rule out."""
    config = read_object(base.directory / "config.json")
    _quantized(recipe, config)
    _expanded(recipe, config)
    _tied(recipe, config)
    try:
        tensors = headers(base.directory, model_files(base.directory, "full"))
    except (LlmopsError, OSError):
        return
    # The modules of experts are put together as they are loaded, and then have other names.
    if not any(".experts." in name for name in tensors):
        _lora_target(recipe, [name for name, one in tensors.items() if len(one.shape) > 1])
        _frozen(recipe, tensors)


def _quantized(recipe: Loaded[TrainRecipe], config: dict[str, Any]) -> None:
    args = recipe.spec.args
    found = config.get("quantization_config")
    if not isinstance(found, dict):
        return
    if args.get("quantization_bit") is not None:
        raise recipe.bad(
            "the base is quantized already, so this would do nothing",
            ("args", "quantization_bit"),
            fix="leave it out",
        )
    if found.get("quant_method") in _UNPACKED:
        return
    method = args.get("finetuning_type", "lora")
    if method != "lora":
        raise recipe.bad(
            f"the base is quantized: `{method}` cannot train it",
            ("args", "finetuning_type"),
            fix="use `lora`, or a base that is not quantized",
        )
    key = "fsdp" if args.get("fsdp") else "deepspeed"
    if args.get("fsdp") or zero_of(recipe).get("stage") == 3:
        raise recipe.bad(
            "the base is quantized, and its weights cannot be divided among devices",
            ("args", key),
            fix="use ZeRO-2, or a base that is not quantized",
        )


def _expanded(recipe: Loaded[TrainRecipe], config: dict[str, Any]) -> None:
    layers = config.get("num_hidden_layers")
    new = recipe.spec.args.get("freeze_trainable_layers", 2)
    if recipe.spec.args.get("use_llama_pro") and isinstance(layers, int) and layers % new:
        raise recipe.bad(
            f"the base has {layers} layers, which {new} new ones do not divide",
            ("args", "use_llama_pro"),
            fix="write another `freeze_trainable_layers:`",
        )


def _tied(recipe: Loaded[TrainRecipe], config: dict[str, Any]) -> None:
    """The engine adds a head to such a model, and cannot save it after training."""
    method = recipe.spec.args.get("finetuning_type", "lora")
    if recipe.spec.stage == "rm" and method != "lora" and config.get("tie_word_embeddings"):
        raise recipe.bad(
            "the base's first and last layer share their weights: the engine could not save a "
            "reward model of it",
            ("args", "finetuning_type"),
            fix="use `lora`",
        )


def _lora_target(recipe: Loaded[TrainRecipe], weights: Iterable[str]) -> None:
    """A name that is nowhere ends training if all are, and is passed over else."""
    wanted = modules(recipe.spec.args.get("lora_target"))
    if recipe.spec.args.get("finetuning_type", "lora") != "lora" or wanted in ([], ["all"]):
        return
    there = {name.removesuffix(".weight") for name in weights}
    for target in wanted:
        if target != "lm_head" and not any(f".{module}".endswith(f".{target}") for module in there):
            raise _absent(recipe, "lora_target", target, {m.rpartition(".")[2] for m in there})


def _frozen(recipe: Loaded[TrainRecipe], weights: Iterable[str]) -> None:
    """As the engine finds them: within a layer, and beside the layers."""
    if recipe.spec.args.get("finetuning_type") != "freeze":
        return
    inner = {name.split(".0.")[-1].split(".")[0] for name in weights if ".0." in name}
    outer = {
        name.split(".")[-2]
        for name in weights
        if "." in name and not any(part.isdigit() for part in name.split("."))
    }
    for key, there in (
        ("freeze_trainable_modules", {*inner, "all"}),
        ("freeze_extra_modules", outer),
    ):
        for name in modules(recipe.spec.args.get(key)):
            if name not in there:
                raise _absent(recipe, key, name, there)


def modules(given: Any) -> list[str]:
    """Names of modules, from text with commas or a list."""
    parts = given.split(",") if isinstance(given, str) else given or []
    return [part.strip() for part in parts]


def _absent(recipe: Loaded[TrainRecipe], key: str, name: str, there: set[str]) -> Exception:
    fix = did_you_mean(name, {*there, "lm_head"})
    return recipe.bad(f"the base has no module `{name}`", ("args", key), fix=fix)
