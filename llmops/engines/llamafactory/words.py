"""What a training stage starts from, compares with and makes, and which of its options do nothing,
in words for the plan."""

from llmops.engines.contract import ModelFiles
from llmops.engines.llamafactory.chaining import Chain
from llmops.engines.llamafactory.idle import idle
from llmops.engines.llamafactory.rules.method import needs_reference
from llmops.spec.load import Loaded
from llmops.spec.recipe import TrainRecipe


def told(recipe: Loaded[TrainRecipe], base: ModelFiles, decided: Chain) -> tuple[str, ...]:
    """A line for each."""
    lines = (_start(recipe, base, decided), _reference(recipe, decided), _made(recipe, decided))
    return tuple(line for line in (*lines, *idle(recipe.spec)) if line)


def _start(recipe: Loaded[TrainRecipe], base: ModelFiles, decided: Chain) -> str:
    name, rank = recipe.spec.base, recipe.spec.args.get("lora_rank", 8)
    method = recipe.spec.args.get("finetuning_type", "lora")
    if recipe.spec.args.get("train_from_scratch"):
        return f"starts from random weights in the shape of {name}"
    if decided.makes == "full":
        which = "all of its" if method == "full" else "some of its"
        return f"starts from {name}, and trains {which} weights"
    new, old = f"a new adapter of rank {rank} is trained", f"adapter{_of(decided.before)}"
    if decided.adapter is None:
        return f"starts from {name}, which stays as it is; {new} on it"
    if decided.concatenate:
        return f"starts from {name}, an {old}, merged in memory; {new} on that"
    return f"starts from {name}: {decided.reason}, so its {old} is trained on"


def _reference(recipe: Loaded[TrainRecipe], decided: Chain) -> str:
    name, stage = recipe.spec.base, recipe.spec.stage
    if not needs_reference(recipe):
        if stage != "dpo":
            return ""
        return f"reference model: none, `pref_loss: {recipe.spec.args['pref_loss']}` needs none"
    if decided.makes == "adapter" and (decided.adapter is None or decided.concatenate):
        return f"reference model: {name}, by switching the new adapter off"
    return f"reference model: {name} as it was, loaded a second time"


def _made(recipe: Loaded[TrainRecipe], decided: Chain) -> str:
    model, ranked = recipe.spec.output.model, _of(decided.rank)
    if decided.makes == "full":
        return f"makes the next version of {model}: a full model"
    if not decided.concatenate:
        return f"makes the next version of {model}: an adapter{ranked} on the same base"
    return f"makes the next version of {model}: one adapter{ranked} on the same base, both in one"


def _of(rank: int | None) -> str:
    return f" of rank {rank}" if rank else ""
