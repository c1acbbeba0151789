"""Options with a few words, or names of their own, that the engine's declaration does not list."""

from llmops.engines.llamafactory.optionfiles import option_object
from llmops.engines.llamafactory.rules.case import Case
from llmops.spec.suggest import did_you_mean

_LEVELS = ("debug", "info", "warning", "error", "critical", "detail", "passive")
_NESTED = "gradient_accumulation_kwargs"
_WORDS: dict[str, tuple[str, ...]] = {
    "log_level": _LEVELS,
    "log_level_replica": _LEVELS,
    "debug": ("underflow_overflow", "tpu_metrics_debug"),
    "include_num_input_tokens_seen": ("all", "non_padding", "no"),
    "label_names": ("labels",),
    "gradient_checkpointing_kwargs": (
        "debug",
        "determinism_check",
        "early_stop",
        "preserve_rng_state",
        "use_reentrant",
    ),
    "accelerator_config": (
        "dispatch_batches",
        "even_batches",
        _NESTED,
        "non_blocking",
        "split_batches",
        "use_seedable_sampler",
    ),
}
_ACCUMULATION = ("adjust_scheduler", "sync_each_batch", "sync_with_dataloader")


def listed(case: Case) -> None:
    for key, possible in _WORDS.items():
        given = case.args.get(key)
        if key == "accelerator_config":
            given = option_object(case.recipe, key)
        elif key == "gradient_checkpointing_kwargs":
            given = case.mapping(key)
        elif isinstance(given, str):
            given = given.split()
        for word in given if isinstance(given, list | dict) else ():
            if word not in possible:
                fix = did_you_mean(str(word), possible, listing=0)
                raise case.bad(key, f"`{word}` is not one of {', '.join(possible)}", fix=fix)


def accumulation(case: Case) -> None:
    """What accelerate takes for it, but for the number of steps, which is an option."""
    for word in option_object(case.recipe, "accelerator_config").get(_NESTED) or {}:
        if word not in _ACCUMULATION:
            raise case.bad(
                "accelerator_config",
                f"`{word}` is not one of {', '.join(_ACCUMULATION)}",
                fix="`gradient_accumulation_steps` is an option of its own",
            )
