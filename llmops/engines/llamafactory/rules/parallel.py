"""DeepSpeed and FSDP, and what does not go with several processes."""

from llmops.engines.llamafactory.optionfiles import option_object, zero_of
from llmops.engines.llamafactory.rules.case import Case

_FSDP = (
    "auto_wrap",
    "full_shard",
    "hybrid_shard",
    "hybrid_shard_zero2",
    "no_shard",
    "offload",
    "shard_grad_op",
)
# Keys of a DeepSpeed config that transformers compares with its own, and its default for them.
_SAME = (
    ("train_micro_batch_size_per_gpu", "per_device_train_batch_size", 8),
    ("gradient_accumulation_steps", "gradient_accumulation_steps", 1),
    ("gradient_clipping", "max_grad_norm", 1.0),
)

_GATHERED = "stage3_gather_16bit_weights_on_model_save"


def sharding(case: Case) -> None:
    given = case.args.get("fsdp")
    if not given:
        if case.args.get("fsdp_config"):
            raise case.bad(
                "fsdp_config", "`fsdp_config` does nothing without `fsdp`", fix="write `fsdp:` too"
            )
        return
    words = given.split() if isinstance(given, str) else list(given)
    for word in words:
        if word not in _FSDP:
            raise case.bad("fsdp", f"`{word}` is not one of {', '.join(_FSDP)}")
    if words == ["offload"]:
        raise case.bad("fsdp", "`offload` does not shard", fix='write `fsdp: "full_shard offload"`')
    if {"full_shard", "shard_grad_op"} <= set(words):
        raise case.bad(
            "fsdp",
            "`full_shard` and `shard_grad_op` exclude each other",
            fix="leave one of them out",
        )
    _shards(case)
    _whole_checkpoints(case, "FSDP")


def _shards(case: Case) -> None:
    given = option_object(case.recipe, "fsdp_config")
    config = {str(key).removeprefix("fsdp_"): value for key, value in given.items()}
    if config.get("min_num_params") and config.get("transformer_layer_cls_to_wrap") is not None:
        raise case.bad(
            "fsdp_config",
            "`min_num_params` and `transformer_layer_cls_to_wrap` exclude each other",
            fix="leave one of them out",
        )
    synced, lean = (
        str(config.get(key, default)).lower()
        for key, default in (("sync_module_states", True), ("cpu_ram_efficient_loading", False))
    )
    if (synced, lean) == ("false", "true"):
        raise case.bad(
            "fsdp_config",
            "with `cpu_ram_efficient_loading` other processes have no weights but what is synced",
            fix="write `sync_module_states: true`",
        )


def deepspeed(case: Case) -> None:
    config = case.deepspeed
    if config is None:
        return
    if not config:
        raise case.bad(
            "deepspeed",
            "DeepSpeed's config is not a JSON object, or empty",
            fix="LLaMA-Factory has some in examples/deepspeed",
        )
    for theirs, ours, default in _SAME:
        there, here = config.get(theirs, "auto"), case.args.get(ours, default)
        if there not in ("auto", here):
            raise case.bad(
                "deepspeed",
                f"`{theirs}: {there}` in DeepSpeed's config, and `{ours}: {here}` in the recipe",
                fix=f'write "{theirs}": "auto"',
            )
    if case.zero3:
        for key in ("pure_bf16", "use_unsloth", "use_kt"):
            if case.args.get(key):
                raise case.bad(key, f"`{key}` does not go with ZeRO-3", fix="use ZeRO-2")
        # Adapters are gathered without it (transformers/trainer.py, save_model).
        if case.method != "lora" and not zero_of(case.recipe).get(_GATHERED):
            raise case.bad(
                "deepspeed",
                f"ZeRO-3 without `{_GATHERED}` ends without the weights that it trained",
                fix=f'write "{_GATHERED}": true under "zero_optimization"',
            )
    _whole_checkpoints(case, "DeepSpeed")


def _whole_checkpoints(case: Case, name: str) -> None:
    if case.args.get("save_only_model") and case.args.get("load_best_model_at_end"):
        raise case.bad(
            "save_only_model",
            f"with {name} the best model cannot be loaded from weights alone",
            fix="leave it out",
        )


def layerwise(case: Case) -> None:
    """Optimizers that step while gradients are computed."""
    for name in ("galore", "apollo"):
        key = f"{name}_layerwise"
        if not (case.args.get(f"use_{name}") and case.args.get(key)):
            continue
        if case.distributed:
            raise case.bad(key, f"`{key}` runs in one process only", fix="leave it out")
        if case.args.get("gradient_accumulation_steps", 1) != 1:
            raise case.bad(
                key, f"`{key}` cannot accumulate gradients", fix="`gradient_accumulation_steps: 1`"
            )
    if case.args.get("use_badam") and case.distributed:
        if case.args.get("badam_mode", "layer") == "ratio":
            raise case.bad(
                "badam_mode",
                "BAdam by ratio runs in one process only",
                fix="write `badam_mode: layer`",
            )
        if not case.zero3:
            raise case.bad(
                "use_badam",
                "in several processes BAdam needs DeepSpeed ZeRO-3",
                fix="write `deepspeed: FILE`",
            )
