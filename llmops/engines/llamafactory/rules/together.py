"""Options that exclude each other, and options that do nothing in a stage."""

from llmops.engines.llamafactory.rules.case import Case

_EXCLUSIVE: tuple[tuple[str, str], ...] = (
    ("fp16", "bf16"),
    ("fp16_full_eval", "bf16_full_eval"),
    ("fp8", "quantization_bit"),
    ("mask_history", "train_on_prompt"),
    ("streaming", "max_samples"),
    ("use_galore", "use_apollo"),
    ("use_galore", "use_badam"),
    ("use_apollo", "use_badam"),
    ("deepspeed", "use_galore"),
    ("deepspeed", "use_apollo"),
    ("deepspeed", "fsdp"),
    ("use_dft_loss", "use_asft_loss"),
    ("use_dft_loss", "use_eaft_loss"),
    ("use_asft_loss", "use_eaft_loss"),
)

_STAGES: dict[str, tuple[str, ...]] = {
    "packing": ("cpt", "sft"),
    "neat_packing": ("sft",),
    "train_on_prompt": ("sft",),
    "mask_history": ("sft",),
    "compute_accuracy": ("sft",),
    "use_dft_loss": ("sft",),
    "use_asft_loss": ("sft",),
    "use_eaft_loss": ("sft",),
    "train_from_scratch": ("cpt", "sft", "rm"),
    "pref_loss": ("dpo",),
    "dpo_label_smoothing": ("dpo",),
    "pref_bco_weight": ("dpo",),
    "simpo_gamma": ("dpo",),
    "ld_alpha": ("dpo",),
    "pref_beta": ("dpo", "kto"),
    "pref_ftx": ("dpo", "kto"),
    "kto_chosen_weight": ("kto",),
    "kto_rejected_weight": ("kto",),
}


def exclusive(case: Case) -> None:
    for one, other in _EXCLUSIVE:
        if case.args.get(one) and case.args.get(other):
            raise case.bad(
                other, f"`{one}` and `{other}` exclude each other", fix="leave one of them out"
            )


def without_effect(case: Case) -> None:
    """An option of another stage: the engine refuses some and passes over the rest."""
    for key, stages in _STAGES.items():
        value = case.args.get(key)
        if value and value != case.default(key) and case.stage not in stages:
            only = " and ".join(stages)
            raise case.bad(
                key, f"`{key}` is for stage {only} only, not for {case.stage}", fix="leave it out"
            )
