"""Is a recipe fit for the installed engine? Its options by name, type and value.

The engine itself rejects unknown names only; a wrong type or value fails minutes later, or not at
all. Each rule below stands for one of those. Raises BadInput with file, line and key.
"""

from collections.abc import Callable
from typing import Any

from llmops.engines.llamafactory.machine import Machine
from llmops.engines.llamafactory.options import OptionSet
from llmops.engines.llamafactory.owned import ELSEWHERE, instead
from llmops.engines.llamafactory.signatures import Option
from llmops.spec.load import Loaded
from llmops.spec.recipe import TrainRecipe
from llmops.spec.suggest import did_you_mean

Rule = Callable[[Loaded[TrainRecipe], Machine], None]


def check_options(recipe: Loaded[TrainRecipe], known: OptionSet, machine: Machine) -> None:
    """Raises BadInput at the first option that does not fit."""
    for key, value in recipe.spec.args.items():
        fix = instead(key)
        if fix is not None:
            raise recipe.bad(f"`{key}` is not set in a recipe", ("args", key), fix=fix)
        option = known.options.get(key)
        if option is None:
            fix = ELSEWHERE.get(key) or did_you_mean(key, known.options)
            raise recipe.bad(f"unknown option `{key}`", ("args", key), fix=fix)
        _check_value(recipe, option, value)
    _check_template(recipe, known)
    for rule in _RULES:
        rule(recipe, machine)


def _check_value(recipe: Loaded[TrainRecipe], option: Option, value: Any) -> None:
    place = ("args", option.name)
    if not _has_type(value, option):
        expected = " or ".join(_in_words(option))
        raise recipe.bad(
            f"expected {expected}, found {value!r}", place, fix=_unquote(value, option)
        )
    if isinstance(value, str) and option.choices and value not in option.choices:
        listed = ", ".join(f"`{choice}`" for choice in option.choices)
        fix = did_you_mean(value, option.choices, listing=0)
        raise recipe.bad(f"`{value}` is not one of {listed}", place, fix=fix)


def _has_type(value: Any, option: Option) -> bool:
    types = option.types
    if "any" in types:
        return True
    match value:
        case None:
            return "None" in types
        case bool():
            return "bool" in types
        case int():
            return "int" in types or "float" in types
        case float():
            return "float" in types
        case str():
            return "str" in types
        case list():
            return "list" in types or (option.joined and all(isinstance(v, str) for v in value))
        case _:
            return type(value).__name__ in types


def _in_words(option: Option) -> list[str]:
    words = {
        "bool": "true or false",
        "int": "a whole number",
        "float": "a number",
        "str": "text",
        "dict": "a mapping",
        "list": "a list",
        "None": "null",
    }
    return [words[name] for name in option.types] + (["a list of text"] if option.joined else [])


def _unquote(value: Any, option: Option) -> str:
    if not isinstance(value, str) or "str" in option.types:
        return ""
    from llmops.spec.source import parse_scalar

    meant = parse_scalar(value) if value.strip() else None
    return f"without the quotes: {meant}" if meant is not None and _has_type(meant, option) else ""


def _check_template(recipe: Loaded[TrainRecipe], known: OptionSet) -> None:
    template = recipe.spec.template
    if template is not None and template not in known.templates:
        raise recipe.bad(
            f"`{template}` is not a template of this engine",
            ("template",),
            fix=did_you_mean(template, known.templates)
            or "leave it out: the base's own chat template is used",
        )


def _preference_loss(recipe: Loaded[TrainRecipe], machine: Machine) -> None:
    loss = recipe.spec.args.get("pref_loss")
    if loss is not None and loss not in ("sigmoid", "orpo", "simpo"):
        raise recipe.bad(
            f"`pref_loss: {loss}` trains plain sigmoid DPO in this engine, without a word",
            ("args", "pref_loss"),
            fix="only `sigmoid`, `orpo` and `simpo` are what they say",
        )


def _attention(recipe: Loaded[TrainRecipe], machine: Machine) -> None:
    if recipe.spec.args.get("flash_attn") == "fa3":
        raise recipe.bad(
            "`flash_attn: fa3` is listed by the engine and not implemented",
            ("args", "flash_attn"),
            fix="use `auto`, `sdpa` or `fa2`",
        )


def _quantization(recipe: Loaded[TrainRecipe], machine: Machine) -> None:
    args = recipe.spec.args
    bits = args.get("quantization_bit")
    if bits is None:
        return
    method = args.get("quantization_method", "bnb")
    allowed = {"bnb": (4, 8), "hqq": (1, 2, 3, 4, 5, 6, 8), "eetq": (8,)}.get(method)
    if allowed is None:
        raise recipe.bad(
            f"`{method}` cannot quantize while training",
            ("args", "quantization_method"),
            fix="use `bnb`, `hqq` or `eetq`",
        )
    if bits not in allowed:
        raise recipe.bad(
            f"{method} quantizes to {' or '.join(map(str, allowed))} bits, not {bits}",
            ("args", "quantization_bit"),
        )
    if machine.cpu_only:
        raise recipe.bad(
            "quantized training needs a GPU", ("args", "quantization_bit"), fix="leave it out"
        )
    if args.get("finetuning_type", "lora") != "lora":
        raise recipe.bad(
            "quantization goes with LoRA only",
            ("args", "quantization_bit"),
            fix="write `finetuning_type: lora`",
        )


def _precision(recipe: Loaded[TrainRecipe], machine: Machine) -> None:
    for key in ("fp16", "pure_bf16", "tf32", "fp8"):
        if recipe.spec.args.get(key) and machine.cpu_only:
            raise recipe.bad(
                f"`{key}` needs a GPU, and this machine or environment has none",
                ("args", key),
                fix="leave it out (float32), or use `bf16: true`",
            )
    if recipe.spec.args.get("fp16") and recipe.spec.args.get("bf16"):
        raise recipe.bad("`fp16` and `bf16` exclude each other", ("args", "fp16"))


def _packing(recipe: Loaded[TrainRecipe], machine: Machine) -> None:
    stage, args = recipe.spec.stage, recipe.spec.args
    if args.get("packing") and stage not in ("cpt", "sft"):
        raise recipe.bad(
            f"`packing` has no meaning in stage {stage}", ("args", "packing"), fix="leave it out"
        )
    for key in ("neat_packing", "train_on_prompt", "mask_history"):
        if args.get(key) and stage != "sft":
            raise recipe.bad(f"`{key}` is for stage sft only", ("args", key), fix="leave it out")


def _streaming(recipe: Loaded[TrainRecipe], machine: Machine) -> None:
    args = recipe.spec.args
    if not args.get("streaming"):
        return
    if args.get("max_steps", -1) <= 0:
        raise recipe.bad("`streaming` needs `max_steps`", ("args", "streaming"))
    if args.get("dataloader_num_workers", 0) < 1:
        raise recipe.bad("`streaming` needs `dataloader_num_workers: 1`", ("args", "streaming"))
    if isinstance(recipe.spec.data.validation, float):
        raise recipe.bad(
            "`streaming` cannot take a share for validation",
            ("data", "validation"),
            fix="name files for it",
        )


def _evaluation(recipe: Loaded[TrainRecipe], machine: Machine) -> None:
    args = recipe.spec.args
    if recipe.spec.data.validation is not None:
        return
    for key, idle in (("eval_strategy", "no"), ("load_best_model_at_end", False)):
        if args.get(key, idle) != idle:
            raise recipe.bad(
                f"`{key}` needs data to evaluate on",
                ("args", key),
                fix="write `data.validation:`, a share such as 0.1 or files",
            )


def _deprecated(recipe: Loaded[TrainRecipe], machine: Machine) -> None:
    if "warmup_ratio" in recipe.spec.args:
        raise recipe.bad(
            "`warmup_ratio` is deprecated in transformers 5",
            ("args", "warmup_ratio"),
            fix=f"write `warmup_steps: {recipe.spec.args['warmup_ratio']}`: "
            "below 1 it is a share of all steps",
        )


def _devices(recipe: Loaded[TrainRecipe], machine: Machine) -> None:
    asked, there = recipe.spec.resources.devices, len(machine.accelerators)
    if there and asked > there:
        raise recipe.bad(f"{asked} devices, and this machine has {there}", ("resources", "devices"))
    if asked > 1 and recipe.spec.args.get("use_unsloth"):
        raise recipe.bad("unsloth trains on one device", ("resources", "devices"))


_RULES: tuple[Rule, ...] = (
    _preference_loss,
    _attention,
    _quantization,
    _precision,
    _packing,
    _streaming,
    _evaluation,
    _deprecated,
    _devices,
)
