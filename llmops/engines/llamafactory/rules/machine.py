"""What the recipe asks of the machine and of the engine's environment."""

from typing import Any

from llmops.engines.llamafactory.rules.case import Case

_BITS = {"bnb": (4, 8), "hqq": (1, 2, 3, 4, 5, 6, 8), "eetq": (8,)}
_QUANTIZER = {"bnb": "bitsandbytes", "hqq": "hqq", "eetq": "eetq"}
_OF_GPUS = {
    **dict.fromkeys(
        ("fp16", "pure_bf16", "tf32", "fp8", "fp16_full_eval"),
        "leave it out (float32), or use `bf16: true`",
    ),
    "use_unsloth_gc": "leave it out",
}
_PACKAGES: tuple[tuple[str, Any, str], ...] = (
    ("deepspeed", None, "deepspeed"),
    ("enable_liger_kernel", True, "liger-kernel"),
    ("flash_attn", "fa2", "flash-attn"),
    ("mixture_of_depths", None, "mixture-of-depth"),
    ("plot_loss", True, "matplotlib"),
    ("use_adam_mini", True, "adam-mini"),
    ("use_apollo", True, "apollo-torch"),
    ("use_badam", True, "badam"),
    ("use_galore", True, "galore-torch"),
    ("use_hyper_parallel", True, "hyper-parallel"),
    ("use_kt", True, "kt-kernel"),
    ("use_liger_kernel", True, "liger-kernel"),
    ("use_swanlab", True, "swanlab"),
    ("use_unsloth", True, "unsloth"),
)


def quantization(case: Case) -> None:
    bits = case.args.get("quantization_bit")
    if case.args.get("quantization_device_map") is not None:
        raise case.bad(
            "quantization_device_map", "a device map is for serving only", fix="leave it out"
        )
    if bits is None:
        return
    method = case.args.get("quantization_method", "bnb")
    allowed = _BITS.get(method)
    if allowed is None:
        raise case.bad(
            "quantization_method",
            f"`{method}` cannot quantize while training",
            fix="use `bnb`, `hqq` or `eetq`",
        )
    if bits not in allowed:
        possible = " or ".join(map(str, allowed))
        raise case.bad(
            "quantization_bit",
            f"{method} quantizes to {possible} bits, not {bits}",
            fix=f"write {possible}",
        )
    if case.machine.cpu_only:
        raise case.bad("quantization_bit", "quantized training needs a GPU", fix="leave it out")
    if case.method not in ("lora", "oft"):
        raise case.bad(
            "quantization_bit",
            "quantization goes with LoRA only",
            fix="write `finetuning_type: lora`",
        )
    if (case.zero3 or case.args.get("fsdp")) and (method, bits) != ("bnb", 4):
        raise case.bad(
            "quantization_bit",
            f"{method} with {bits} bits does not go with ZeRO-3 or FSDP",
            fix="use `bnb` with 4 bits",
        )


def of_gpus(case: Case) -> None:
    for key, fix in _OF_GPUS.items():
        if case.args.get(key) and case.machine.cpu_only:
            raise case.bad(
                key, f"`{key}` needs a GPU, and this machine or environment has none", fix=fix
            )


def attention(case: Case) -> None:
    if case.args.get("flash_attn") == "fa3":
        raise case.bad(
            "flash_attn",
            "`flash_attn: fa3` is listed by the engine and not implemented",
            fix="use `auto`, `sdpa` or `fa2`",
        )
    if case.args.get("rope_scaling"):
        raise case.bad(
            "rope_scaling",
            "the engine fails to lengthen a base, and passes over `rope_scaling` where it need not",
            fix="leave it out; a base that is lengthened already keeps its own",
        )
    if case.args.get("shift_attn"):
        raise case.bad(
            "shift_attn",
            "`shift_attn` needs a transformers before 4.48, and is passed over for most models",
            fix="leave it out",
        )


def packages(case: Case) -> None:
    """Without flash-attn the engine says so in its log and uses another attention; the others
    end it."""
    for key, asked, package in _PACKAGES:
        value = case.args.get(key)
        if value and (asked is None or value == asked):
            _needs(case, key, package)
    if case.args.get("quantization_bit") is not None:
        method = case.args.get("quantization_method", "bnb")
        _needs(case, "quantization_bit", _QUANTIZER[method])
    optimizer = case.known.optimizers.get(case.args.get("optim", ""))
    if optimizer is not None and optimizer.package:
        _needs(case, "optim", optimizer.package)


def _needs(case: Case, key: str, package: str) -> None:
    if case.machine.lacks(package):
        raise case.bad(
            key,
            f"`{key}: {case.args[key]}` needs the package {package}, which the engine's "
            "environment does not have",
            fix="leave it out, or name an environment of your own that has it: "
            "`[engines.llamafactory]` in llmops.toml",
        )


def devices(case: Case) -> None:
    asked, there = case.devices, len(case.machine.accelerators)
    place = ("resources", "devices")
    if there and asked > there:
        raise case.recipe.bad(
            f"{asked} devices, and this machine has {there}", place, fix=f"write {there}"
        )
    if asked > 1 and case.args.get("use_unsloth"):
        raise case.recipe.bad("unsloth trains on one device", place, fix="write 1")
    if case.args.get("ddp_backend") and case.machine.cpu_only and not case.distributed:
        raise case.bad(
            "ddp_backend", "there is one process, and no group of several", fix="leave it out"
        )
