"""Options that the engine takes and passes over, because another one is not set as they need it.

They do no harm, so a plan says them and refuses none. What does nothing in a whole stage is refused
(rules/together.py).
"""

from typing import Any, NamedTuple

from llmops.spec.recipe import TrainRecipe


class _Idle(NamedTuple):
    """Options, by how their names begin, that `needs` one of `values`; any value where it has
    none. default: what the engine, or llmops, takes where the recipe is silent."""

    names: tuple[str, ...]
    needs: str
    values: tuple[Any, ...] = ()
    default: Any = None


_WARMED = (
    "constant_with_warmup",
    "cosine",
    "cosine_warmup_with_min_lr",
    "cosine_with_min_lr",
    "cosine_with_restarts",
    "inverse_sqrt",
    "linear",
    "polynomial",
    "warmup_stable_decay",
)
_IDLE = (
    _Idle(("apollo_",), "use_apollo"),
    _Idle(("asft_",), "use_asft_loss"),
    _Idle(("badam_",), "use_badam"),
    _Idle(("buffer_size",), "streaming"),
    _Idle(("eaft_",), "use_eaft_loss"),
    _Idle(("eval_steps",), "eval_strategy", ("steps",), "no"),
    _Idle(("eval_delay",), "eval_strategy", ("steps", "epoch"), "no"),
    _Idle(("fp8_",), "fp8"),
    _Idle(("freeze_trainable_", "freeze_extra_"), "finetuning_type", ("freeze",), "lora"),
    _Idle(("galore_",), "use_galore"),
    _Idle(("gradient_checkpointing_kwargs",), "gradient_checkpointing"),
    _Idle(("hyper_parallel_args",), "use_hyper_parallel"),
    _Idle(("kt_",), "use_kt"),
    _Idle(("length_column_name",), "train_sampling_strategy", ("group_by_length",), "random"),
    _Idle(("liger_kernel_config",), "use_liger_kernel"),
    _Idle(("logging_steps",), "logging_strategy", ("steps",), "steps"),
    _Idle(("lora_",), "finetuning_type", ("lora",), "lora"),
    _Idle(("loraplus_lr_embedding",), "loraplus_lr_ratio"),
    _Idle(("num_train_epochs",), "max_steps", (-1,), -1),
    _Idle(("optim",), "use_muon", (False,), False),
    _Idle(("optim",), "use_adam_mini", (False,), False),
    _Idle(("oft_", "module_dropout"), "finetuning_type", ("oft",), "lora"),
    _Idle(("profiler_",), "enable_torch_profiler"),
    _Idle(("quantization_method", "quantization_type", "double_quantization"), "quantization_bit"),
    _Idle(("save_steps",), "save_strategy", ("steps",), "steps"),
    _Idle(("simpo_gamma",), "pref_loss", ("simpo",), "sigmoid"),
    _Idle(("swanlab_",), "use_swanlab"),
    _Idle(("use_reentrant_gc",), "disable_gradient_checkpointing", (False,), False),
    _Idle(("warmup_steps",), "lr_scheduler_type", _WARMED, "linear"),
)


def idle(spec: TrainRecipe) -> list[str]:
    """A line for each option that does nothing."""
    return [
        f"`{key}` does nothing: {_why(row, spec.args.get(row.needs, row.default))}"
        for row in _IDLE
        for key in spec.args
        if key.startswith(row.names) and not _met(row, spec.args.get(row.needs, row.default))
    ]


def _met(row: _Idle, value: Any) -> bool:
    return value in row.values if row.values else bool(value)


def _why(row: _Idle, value: Any) -> str:
    if not row.values:
        return f"`{row.needs}` is not set"
    shown = str(value).lower() if isinstance(value, bool) else value
    return f"`{row.needs}` is {shown}"
