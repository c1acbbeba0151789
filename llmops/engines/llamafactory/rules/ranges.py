"""Numbers that make the engine fail, or that mean something else to it."""

from collections.abc import Callable

from llmops.engines.llamafactory.rules.case import Case

_Number = int | float
_Range = tuple[Callable[[_Number], bool], str]

_ONE: _Range = (lambda value: value >= 1, "1 or more")
_NOT_NEGATIVE: _Range = (lambda value: value >= 0, "0 or more")
_POSITIVE: _Range = (lambda value: value > 0, "above 0")
_SHARE: _Range = (lambda value: 0 <= value < 1, "0 or more and below 1")

_RANGES: dict[str, _Range] = {
    **dict.fromkeys(
        (
            "apollo_rank",
            "buffer_size",
            "dataloader_prefetch_factor",
            "ddp_timeout",
            "early_stopping_steps",
            "eval_accumulation_steps",
            "galore_rank",
            "gradient_accumulation_steps",
            "lora_alpha",
            "lora_rank",
            "max_samples",
            "per_device_eval_batch_size",
            "per_device_train_batch_size",
            "preprocessing_num_workers",
            "profiler_active_steps",
            "torch_empty_cache_steps",
        ),
        _ONE,
    ),
    **dict.fromkeys(
        (
            "dataloader_num_workers",
            "kto_chosen_weight",
            "kto_rejected_weight",
            "neftune_noise_alpha",
            "pref_ftx",
            "profiler_repeat",
            "profiler_wait_steps",
            "profiler_warmup_steps",
            "simpo_gamma",
            "warmup_steps",
            "weight_decay",
        ),
        _NOT_NEGATIVE,
    ),
    **dict.fromkeys(
        (
            "adam_epsilon",
            "badam_update_ratio",
            "logging_steps",
            "loraplus_lr_ratio",
            "num_train_epochs",
        ),
        _POSITIVE,
    ),
    **dict.fromkeys(("adam_beta1", "adam_beta2", "label_smoothing_factor", "lora_dropout"), _SHARE),
    "cutoff_len": (lambda value: value >= 2, "2 or more: nothing is predicted of one token"),
    "seed": (lambda value: 0 <= value < 2**32, "0 to 4294967295"),
    "dpo_label_smoothing": (lambda value: 0 <= value < 0.5, "0 or more and below 0.5"),
    "freeze_trainable_layers": (lambda value: value != 0, "other than 0: it trains no layer"),
    "max_steps": (lambda value: value == -1 or value >= 1, "1 or more, or -1 for whole epochs"),
    **dict.fromkeys(
        ("learning_rate", "pref_beta"),
        (lambda value: value > 0, "above 0: nothing is learned else"),
    ),
}


def in_range(case: Case) -> None:
    for key, value in case.args.items():
        fits, words = _RANGES.get(key, (None, ""))
        if fits is not None and value is not None and not fits(value):
            raise case.bad(key, f"`{key}: {value}` is out of range", fix=f"it is {words}")
