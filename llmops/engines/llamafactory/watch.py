"""What `watch: {...: stop}` needs of the engine: a best checkpoint, since that is what is kept."""

from typing import Any

from llmops.spec.load import Loaded
from llmops.spec.recipe import TrainRecipe

SAVING = {"save_steps", "save_strategy", "load_best_model_at_end", "enable_jit_checkpoint"}
"""Options that say when checkpoints are saved; where a recipe sets one, the defaults are silent."""
BEST: dict[str, Any] = {
    "save_strategy": "best",
    "metric_for_best_model": "eval_loss",
    "load_best_model_at_end": True,
    "save_total_limit": 1,
}


def check_watch(recipe: Loaded[TrainRecipe]) -> None:
    """Raises BadInput where training may be stopped and nothing would tell the best checkpoint."""
    args, stops = recipe.spec.args, recipe.spec.watch.stops
    if not stops:
        return
    where = ("watch", stops[0])
    if recipe.spec.data.validation is None or args.get("eval_strategy", "no") == "no":
        raise recipe.bad(
            "`stop` keeps the best checkpoint, which only an evaluation tells",
            where,
            fix="write `data.validation:` and `args: {eval_strategy: steps, eval_steps: N}`",
        )
    own = sorted(SAVING & args.keys())
    if own and not args.get("load_best_model_at_end"):
        raise recipe.bad(
            "`stop` keeps the best checkpoint, and the recipe's own saving keeps none",
            where,
            fix=f"write `load_best_model_at_end: true`, or leave out `{'`, `'.join(own)}`",
        )
    _check_engine(recipe, where)


def _check_engine(recipe: Loaded[TrainRecipe], where: tuple[str, str]) -> None:
    """Where the engine cannot load the best at the end, though the recipe does not ask for it."""
    args = recipe.spec.args
    if recipe.spec.stage == "rm":
        raise recipe.bad(
            "`stop` keeps the best checkpoint, which stage rm cannot load",
            where,
            fix="write `warn` or `fail`",
        )
    if args.get("eval_on_each_dataset") and isinstance(recipe.spec.data.validation, list):
        raise recipe.bad(
            "`stop` keeps the checkpoint of the lowest validation loss, "
            "and `eval_on_each_dataset` measures none of all data",
            where,
            fix="leave `eval_on_each_dataset` out",
        )
    if args.get("save_only_model") and (args.get("deepspeed") or args.get("fsdp")):
        raise recipe.bad(
            "`stop` keeps the best checkpoint, which DeepSpeed and FSDP do not load from weights "
            "alone",
            where,
            fix="leave `save_only_model` out",
        )
