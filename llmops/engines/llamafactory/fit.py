"""The smallest change of a recipe that fits into memory, as overrides that can be copied.

What changes nothing that is learned comes first: smaller batches of validation data, smaller
micro-batches with as many more of them, liger's fused loss, layers that are computed again, weights
shared among the devices that it has. Then the optimizer's states in 8 bits, samples of half the
length, LoRA, a quantized base, still shorter samples, and at last more devices. A later one that
makes an earlier one needless takes it back. What needs a package that is not installed is not
proposed.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from llmops.spec.load import Loaded
from llmops.spec.recipe import TrainRecipe

Overrides = dict[str, Any]
Fits = Callable[[Loaded[TrainRecipe]], bool]
Lacks = Callable[[str], bool]
"""Whether the engine's environment is known to be without a package."""

SHORTEST = 512
"""Tokens, below which a cutoff is not proposed."""
ZERO3 = {
    "train_batch_size": "auto",
    "train_micro_batch_size_per_gpu": "auto",
    "gradient_accumulation_steps": "auto",
    "gradient_clipping": "auto",
    "fp16": {"enabled": "auto"},
    "bf16": {"enabled": "auto"},
    "zero_allow_untested_optimizer": True,
    "zero_optimization": {
        "stage": 3,
        "reduce_bucket_size": "auto",
        "stage3_prefetch_bucket_size": "auto",
        "stage3_param_persistence_threshold": "auto",
        "stage3_gather_16bit_weights_on_model_save": True,
    },
}
"""As LLaMA-Factory's examples/deepspeed/ds_z3_config.json has it."""


def smaller(
    recipe: Loaded[TrainRecipe], gpus: int, fits: Fits, lacks: Lacks = lambda package: False
) -> Overrides | None:
    """The overrides, by key; None when nothing that is known here fits."""

    def good(overrides: Overrides) -> bool:
        return fits(changed(recipe, overrides))

    before = recipe.spec.resources.devices
    steps: list[Overrides] = []
    found = next((one for one in _batches(recipe, before) if good(one)), None)
    if found is None:
        least = _batches(recipe, before)[-1]
        for step, package in _steps(recipe, gpus):
            if package and lacks(package):
                continue
            steps.append(step)
            if good(_merged(*steps, least)):
                break
        else:
            return None
        for step in steps[-2::-1]:
            without = [one for one in steps if one is not step]
            if good(_merged(*without, least)):
                steps = without
        devices = int(_merged(*steps).get("resources.devices", before))
        tried = (_merged(*steps, one) for one in _batches(recipe, devices))
        found = next((one for one in tried if good(one)), _merged(*steps, least))
    return {key: value for key, value in found.items() if value != _now(recipe, key)}


def changed(recipe: Loaded[TrainRecipe], overrides: Overrides) -> Loaded[TrainRecipe]:
    """The recipe with overrides."""
    spec = recipe.spec
    args = {k.removeprefix("args."): v for k, v in overrides.items() if k.startswith("args.")}
    devices = overrides.get("resources.devices", spec.resources.devices)
    resources = spec.resources.model_copy(update={"devices": devices})
    update = {"args": {**spec.args, **args}, "resources": resources}
    return replace(recipe, spec=spec.model_copy(update=update))


def _merged(*overrides: Overrides) -> Overrides:
    return {key: value for one in overrides for key, value in one.items()}


def _now(recipe: Loaded[TrainRecipe], key: str) -> Any:
    """What the recipe says itself."""
    return recipe.spec.args.get(key.removeprefix("args.")) if key.startswith("args.") else None


def _batches(recipe: Loaded[TrainRecipe], devices: int) -> list[Overrides]:
    """Micro-batches from the recipe's own down to 1, with as many samples to an update."""
    size = int(recipe.spec.args.get("per_device_train_batch_size", 8))
    times = int(recipe.spec.args.get("gradient_accumulation_steps", 1))
    total = size * times * recipe.spec.resources.devices
    found: list[Overrides] = []
    for one in range(size, 0, -1):
        again = max(1, total // (one * devices))
        if (one, again) == (size, times):
            found.append({})
        elif total == one * again * devices or one == 1:
            batch = {"per_device_train_batch_size": one, "gradient_accumulation_steps": again}
            found.append({f"args.{key}": value for key, value in batch.items()})
    return found


def _steps(recipe: Loaded[TrainRecipe], gpus: int) -> Iterator[tuple[Overrides, str]]:
    """Each with the package that it needs, or none."""
    args, devices = recipe.spec.args, recipe.spec.resources.devices
    plain = not {"deepspeed", "fsdp", "quantization_bit"} & args.keys()
    shards = plain and not args.get("pure_bf16")
    yield from _unlearned(recipe, gpus)
    if shards and gpus >= devices > 1:
        yield {"args.deepspeed": ZERO3}, "deepspeed"
    trains_all = args.get("finetuning_type", "lora") != "lora"
    if gpus and trains_all and "optim" not in args:
        yield {"args.optim": "adamw_8bit"}, "bitsandbytes"
    cutoffs = _cutoffs(recipe.spec.cutoff)
    for cutoff in cutoffs[:1]:
        yield {"args.cutoff_len": cutoff}, ""
    if trains_all:
        yield {"args.finetuning_type": "lora"}, ""
    if gpus and not args.get("quantization_bit") and not args.get("pure_bf16"):
        # A quantized base is not sharded.
        quantized = {"args.quantization_bit": 4, "args.deepspeed": args.get("deepspeed")}
        yield quantized, "bitsandbytes"
    for cutoff in cutoffs[1:]:
        yield {"args.cutoff_len": cutoff}, ""
    if shards and gpus > devices:
        sharded = {"args.deepspeed": ZERO3, "args.quantization_bit": None}
        yield {"resources.devices": gpus, **sharded}, "deepspeed"


def _cutoffs(length: int) -> list[int]:
    """Half of it, half of that, ..."""
    half = length // 2
    return [half, *_cutoffs(half)] if half >= SHORTEST else []


def _unlearned(recipe: Loaded[TrainRecipe], gpus: int) -> Iterator[tuple[Overrides, str]]:
    """What changes nothing that is learned."""
    args, stage = recipe.spec.args, recipe.spec.stage
    if recipe.spec.data.validation and int(args.get("per_device_eval_batch_size", 8)) > 1:
        yield {"args.per_device_eval_batch_size": 1}, ""
    if gpus and stage in ("cpt", "sft") and not args.get("enable_liger_kernel"):
        yield {"args.enable_liger_kernel": True}, "liger-kernel"
    if args.get("disable_gradient_checkpointing") is not False:
        yield {"args.disable_gradient_checkpointing": False}, ""
