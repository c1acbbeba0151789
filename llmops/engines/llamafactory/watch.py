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
    if recipe.spec.data.validation is None or args.get("eval_strategy", "no") == "no":
        raise recipe.bad(
            "`stop` keeps the best checkpoint, which only an evaluation tells",
            ("watch", stops[0]),
            fix="write `data.validation:` and `args: {eval_strategy: steps, eval_steps: N}`",
        )
    own = sorted(SAVING & args.keys())
    if own and not args.get("load_best_model_at_end"):
        raise recipe.bad(
            "`stop` keeps the best checkpoint, and the recipe's own saving keeps none",
            ("watch", stops[0]),
            fix=f"write `load_best_model_at_end: true`, or leave out `{'`, `'.join(own)}`",
        )
