"""Steps, learning rates and the processes that load data."""

from collections.abc import Callable
from typing import Any

from llmops.engines.llamafactory.rules.case import Case
from llmops.engines.llamafactory.values import check_value
from llmops.spec.suggest import did_you_mean

_BY_EVALUATION = ("reduce_lr_on_plateau", "greedy")
_LIMITS: dict[str, tuple[Callable[[float], bool], str]] = {
    "factor": (lambda value: 0 < value < 1, "above 0 and below 1"),
    "timescale": (lambda value: value > 0, "above 0"),
}
"""Of arguments of schedules."""


def deprecated(case: Case) -> None:
    ratio = case.args.get("warmup_ratio")
    if "warmup_ratio" in case.args:
        raise case.bad(
            "warmup_ratio",
            "`warmup_ratio` is deprecated in transformers 5",
            fix=f"write `warmup_steps: {ratio}`: below 1 it is a share of all steps",
        )


def steps(case: Case) -> None:
    """Above 1 they count steps, below 1 they are a share of all."""
    for what in ("logging", "eval", "save"):
        strategy, key = f"{what}_strategy", f"{what}_steps"
        value = case.args.get(key)
        by_steps = case.args.get(strategy, case.default(strategy)) == "steps"
        if by_steps and value is not None and value > 1 and value != int(value):
            raise case.bad(
                key,
                f"`{key}: {value}` is neither a number of steps nor a share of all",
                fix="write a whole number, or one below 1",
            )


def scheduler(case: Case) -> None:
    name = case.args.get("lr_scheduler_type", "linear")
    if name in _BY_EVALUATION and case.args.get("eval_strategy", "no") == "no":
        raise case.bad(
            "lr_scheduler_type",
            f"`{name}` follows an evaluation, and there is none",
            fix="write `eval_strategy: steps` and `data.validation:`",
        )
    given = case.mapping("lr_scheduler_kwargs")
    _taken(case, name, given)
    least = {"min_lr", "min_lr_rate"} & given.keys()
    if name in ("cosine_with_min_lr", "cosine_warmup_with_min_lr") and len(least) != 1:
        raise case.bad(
            "lr_scheduler_type",
            f"`{name}` needs either `min_lr` or `min_lr_rate`",
            fix="write `lr_scheduler_kwargs: {min_lr: 1.0e-6}`",
        )


def _taken(case: Case, name: str, given: dict[str, Any]) -> None:
    """They reach the schedule after the model is loaded, or never."""
    takes = case.known.schedules.get(name)
    if takes is None:
        return
    options = {option.name: option for option in takes}
    for word, value in given.items():
        place = ("args", "lr_scheduler_kwargs", word)
        if word not in options:
            fix = did_you_mean(str(word), options) or "leave it out"
            raise case.recipe.bad(f"the schedule `{name}` takes no `{word}`", place, fix=fix)
        check_value(case.recipe, options[word], value, place)
        fits, words = _LIMITS.get(word, (None, ""))
        if fits is not None and value is not None and not fits(value):
            raise case.recipe.bad(f"`{word}: {value}` is out of range", place, fix=f"it is {words}")
    rate = case.args.get("learning_rate", case.default("learning_rate"))
    last = given.get("lr_end", options["lr_end"].default) if "lr_end" in options else None
    if last is not None and rate is not None and rate <= last:
        raise case.bad(
            "lr_scheduler_type",
            f"`{name}` ends at a learning rate of {last}, and starts at {rate}",
            fix="write a smaller `lr_end` under `lr_scheduler_kwargs:`",
        )


def workers(case: Case) -> None:
    args = case.args
    if args.get("dataloader_prefetch_factor") is not None and not args.get(
        "dataloader_num_workers"
    ):
        raise case.bad(
            "dataloader_prefetch_factor",
            "nothing is fetched ahead without processes that do it",
            fix="write `dataloader_num_workers: 1` or more",
        )
    if args.get("dataloader_persistent_workers") and not args.get("dataloader_num_workers"):
        raise case.bad(
            "dataloader_persistent_workers",
            "there are no workers to keep",
            fix="write `dataloader_num_workers: 1` or more",
        )
