"""What is trained, by which loss and optimizer."""

from llmops.engines.llamafactory.rules.case import Case
from llmops.spec.load import Loaded
from llmops.spec.recipe import TrainRecipe

_ONLY_LORA = ("loraplus_lr_ratio", "use_rslora", "use_dora", "pissa_init")
_FULL_OPTIMIZERS = ("use_galore", "use_apollo", "use_badam")
_NEW_TOKENS = ("add_tokens", "add_special_tokens", "new_special_tokens_config")


def preference_loss(case: Case) -> None:
    loss = case.args.get("pref_loss")
    if loss is not None and loss not in ("sigmoid", "orpo", "simpo"):
        raise case.bad(
            "pref_loss",
            f"`pref_loss: {loss}` trains plain sigmoid DPO in this engine, without a word",
            fix="only `sigmoid`, `orpo` and `simpo` are what they say",
        )


def label_smoothing(case: Case) -> None:
    loss = case.args.get("pref_loss", "sigmoid")
    if case.args.get("dpo_label_smoothing") and loss != "sigmoid":
        raise case.bad(
            "dpo_label_smoothing",
            f"label smoothing is for the sigmoid loss, not for {loss}",
            fix="leave it out",
        )


def not_for_method(case: Case) -> None:
    """Options that belong to another `finetuning_type`."""
    if case.method == "lora":
        for key in _FULL_OPTIMIZERS:
            if case.args.get(key):
                raise case.bad(key, f"`{key}` does not go with LoRA", fix=_FULL)
    else:
        for key in _ONLY_LORA:
            if case.args.get(key):
                raise case.bad(key, f"`{key}` is for LoRA only", fix="leave it out")
    if case.method == "full" and case.args.get("use_llama_pro"):
        raise case.bad(
            "use_llama_pro",
            "block expansion trains the new blocks only, not the full model",
            fix="write `finetuning_type: freeze`",
        )
    if case.args.get("use_llama_pro") and case.args.get("freeze_trainable_layers", 2) < 1:
        raise case.bad(
            "freeze_trainable_layers", "block expansion trains new blocks, 1 or more of them"
        )


_FULL = "leave it out, or write `finetuning_type: full`"


def needs_reference(recipe: Loaded[TrainRecipe]) -> bool:
    """Whether the loss compares with a model that is not trained."""
    stage, args = recipe.spec.stage, recipe.spec.args
    if stage == "sft":
        return bool(args.get("use_asft_loss"))
    return stage == "kto" or (stage == "dpo" and args.get("pref_loss", "sigmoid") == "sigmoid")


def reference_with_new_tokens(case: Case) -> None:
    """The reference is the base loaded anew, whose new tokens would be others or a crash."""
    if case.method == "lora" or not needs_reference(case.recipe):
        return
    for key in _NEW_TOKENS:
        if case.args.get(key):
            raise case.bad(
                key,
                f"stage {case.stage} compares with the base as it was, which knows no new tokens",
                fix="add them in an SFT stage, and start this one from its version",
            )


def reference_of_asft(case: Case) -> None:
    """The engine loads one for weights that are trained in place only, and knows no evaluation."""
    if not case.args.get("use_asft_loss"):
        return
    if case.recipe.spec.data.validation is not None:
        raise case.bad(
            "use_asft_loss",
            "the engine fails to evaluate with the ASFT loss",
            fix="leave out `data.validation:`",
        )
    if case.method == "lora":
        raise case.bad(
            "use_asft_loss",
            "the ASFT loss needs a reference model, and the engine loads none for LoRA",
            fix=_FULL,
        )
