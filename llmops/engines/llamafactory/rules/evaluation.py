"""Evaluation while training, and what depends on it."""

from llmops.engines.llamafactory.defaults import logging_steps
from llmops.engines.llamafactory.rules.case import Case
from llmops.spec.suggest import did_you_mean

_NEEDS_DATA: tuple[tuple[str, object], ...] = (
    ("eval_strategy", "no"),
    ("eval_on_start", False),
    ("load_best_model_at_end", False),
    ("early_stopping_steps", None),
)
_MEASURED = ("loss", "runtime", "samples_per_second", "steps_per_second")
_COMPARED = tuple(
    f"{what}/{which}" for what in ("rewards", "logps", "logits") for which in ("chosen", "rejected")
)
"""Of pairs and rated answers, besides (train/dpo/trainer.py, train/kto/trainer.py)."""


def has_data(case: Case) -> None:
    if case.recipe.spec.data.validation is not None:
        return
    for key, idle in _NEEDS_DATA:
        if case.args.get(key, idle) != idle:
            raise case.bad(
                key,
                f"`{key}` needs data to evaluate on",
                fix="write `data.validation:`, a share such as 0.1 or files",
            )


def best_model(case: Case) -> None:
    """Checkpoints are compared by an evaluation at each of them."""
    args = case.args
    when, save = args.get("eval_strategy", "no"), args.get("save_strategy", "steps")
    best = args.get("load_best_model_at_end")
    if save == "best":
        if when == "no":
            raise _strategy(case, "save_strategy", "`save_strategy: best` compares evaluations")
        if not best and "metric_for_best_model" not in args:
            raise case.bad(
                "save_strategy",
                "`save_strategy: best` needs `metric_for_best_model`",
                fix="write `metric_for_best_model: loss`",
            )
    if not best:
        return
    if case.stage == "rm":
        raise case.bad(
            "load_best_model_at_end", "stage rm cannot load the best model", fix="leave it out"
        )
    if save not in ("best", when):
        raise _strategy(
            case,
            "load_best_model_at_end",
            f"`save_strategy: {save}` and `eval_strategy: {when}` must be the same",
        )
    if when == save == "steps":
        _multiple(case)


def _strategy(case: Case, key: str, what: str) -> Exception:
    return case.bad(key, what, fix="write `eval_strategy: steps`, or `epoch` for both")


def _multiple(case: Case) -> None:
    save = case.args.get("save_steps", 500)
    logs = case.args.get("logging_steps", logging_steps(case.args.get("max_steps", -1)))
    every = case.args.get("eval_steps") or logs
    # Shares of all steps are compared in millionths, as the engine does.
    mixed = (save < 1) != (every < 1)
    if mixed or (save * 1_000_000) % (every * 1_000_000) != 0:
        raise case.bad(
            "load_best_model_at_end",
            f"`save_steps: {save}` is no multiple of `eval_steps: {every}`",
            fix="write the same for both",
        )


def metric(case: Case) -> None:
    """It is looked up after each evaluation, whether or not anything depends on it."""
    follows = case.args.get("lr_scheduler_type") in ("reduce_lr_on_plateau", "greedy")
    best = "loss" if follows or case.args.get("load_best_model_at_end") else None
    named = case.args.get("metric_for_best_model", best)
    if named is None or case.args.get("eval_strategy", "no") == "no":
        return
    if case.args.get("eval_on_each_dataset") and isinstance(case.recipe.spec.data.validation, list):
        raise case.bad(
            "eval_on_each_dataset",
            f"it measures no `{named}` of all data, which `metric_for_best_model` means",
            fix="leave one of them out",
        )
    there = _measured(case)
    if named.removeprefix("eval_") not in there:
        raise case.bad(
            "metric_for_best_model",
            f"an evaluation of stage {case.stage} measures no `{named}`",
            fix=did_you_mean(named.removeprefix("eval_"), there),
        )


def _measured(case: Case) -> tuple[str, ...]:
    if case.stage in ("dpo", "kto"):
        pairs = ("rewards/accuracies",) if case.stage == "dpo" else ()
        odds = ("sft_loss", "odds_ratio_loss") if case.args.get("pref_loss") == "orpo" else ()
        return (*_MEASURED, *_COMPARED, "rewards/margins", *pairs, *odds)
    accuracy = _measures_accuracy(case) and not case.args.get("prediction_loss_only")
    return (*_MEASURED, "accuracy") if accuracy else _MEASURED


def _measures_accuracy(case: Case) -> bool:
    return case.stage == "rm" or bool(case.args.get("compute_accuracy"))


def measured_together(case: Case) -> None:
    """What the engine measures besides the loss it takes from all batches in one."""
    if case.args.get("eval_do_concat_batches") is False and _measures_accuracy(case):
        raise case.bad(
            "eval_do_concat_batches", "accuracy is measured over all batches", fix="leave it out"
        )


def early_stopping(case: Case) -> None:
    args = case.args
    if args.get("early_stopping_steps") is None:
        return
    if args.get("eval_strategy", "no") == "no":
        raise _strategy(case, "early_stopping_steps", "early stopping compares evaluations")
    if not args.get("load_best_model_at_end") and "metric_for_best_model" not in args:
        raise case.bad(
            "early_stopping_steps",
            "early stopping needs to know the metric",
            fix="write `load_best_model_at_end: true`, or `metric_for_best_model: loss`",
        )
