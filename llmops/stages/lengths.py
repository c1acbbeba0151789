"""What a plan says of the length of samples: how many lose their end, before any step is made."""

from collections.abc import Sequence

from llmops.data.tokens import ROWS, Lengths
from llmops.engines.contract import DataSet
from llmops.registry.locate import Located
from llmops.runner.stage import Context, Pending
from llmops.spec.load import Loaded
from llmops.spec.recipe import TrainRecipe


def counted(
    recipe: TrainRecipe, base: Located | Pending, data: Sequence[DataSet], context: Context
) -> list[Lengths]:
    """Of each file; none while the base has yet to be made, or has no tokenizer to read."""
    if isinstance(base, Pending):
        return []
    cutoff = recipe.cutoff
    found = [context.tokens.count(one, base.files.directory, cutoff) for one in data]
    return [one for one in found if one is not None]


def check_enough(
    recipe: Loaded[TrainRecipe], known: Sequence[Lengths], data: Sequence[DataSet]
) -> None:
    """Raises BadInput where texts that are packed do not fill one sample: the engine drops what is
    left over, and ends without any. Nothing is said of files that were not counted whole."""
    spec = recipe.spec
    packing = spec.args.get("packing")
    whole = all((one.limit or 0) <= one.samples <= ROWS for one in data)
    if spec.stage != "cpt" or packing is False or not whole or len(known) < len(spec.data.train):
        return
    # An explicit `packing` takes one token off the cutoff (hparams/data_args.py).
    length = spec.cutoff - bool(packing)
    tokens = sum(one.tokens for one in known)
    if tokens < length:
        raise recipe.bad(
            f"{tokens:,} tokens in all do not fill one sample of {length:,}",
            ("args", "cutoff_len") if "cutoff_len" in spec.args else ("data", "train"),
            fix="write a smaller `cutoff_len:`, or `packing: false`",
        )


def lengths(
    recipe: TrainRecipe, known: Sequence[Lengths], data: Sequence[DataSet]
) -> tuple[str, ...]:
    """A line of the plan; none where nothing was counted."""
    cutoff = recipe.cutoff
    rows = sum(one.rows for one in known)
    if not rows:
        return ()
    tokens, longest = sum(one.tokens for one in known), max(one.longest for one in known)
    over = sum(one.over for one in known)
    some = (
        f" (of the first {ROWS:,} rows of each file)"
        if any(one.samples > ROWS for one in data)
        else ""
    )
    line = f"about {tokens / rows:,.0f} tokens a sample, the longest {longest:,}{some}; "
    told = []
    if over and not (recipe.packed and recipe.stage == "cpt"):
        told.append(f"{over / rows:.1%} are longer than cutoff_len {cutoff:,} and are cut")
    if recipe.packed:
        told.append(f"packed into samples of {cutoff:,}")
    return (line + (", ".join(told) or f"none is cut at cutoff_len {cutoff:,}"),)
