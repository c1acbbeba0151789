"""Peak memory of one device while LLaMA-Factory trains, by its parts. docs/plans.md publishes the
formula with its sources and its error; benchmarks/memory.py measures that.

Not covered: images and sound, and the options of `_UNKNOWN`, which are named instead.
"""

import math

from llmops.engines.contract import Memory, ModelFiles
from llmops.engines.llamafactory.activations import of_evaluation, of_tokens
from llmops.engines.llamafactory.chaining import chain
from llmops.engines.llamafactory.need import Need, precision
from llmops.engines.llamafactory.optionfiles import zero_of
from llmops.engines.llamafactory.rules.method import needs_reference
from llmops.engines.llamafactory.weights import known, of_weights, offloaded
from llmops.engines.shape import Shape
from llmops.spec.load import Loaded
from llmops.spec.recipe import TrainRecipe

_FRAMEWORK = {False: 700_000_000, True: 1_000_000_000}
"""Python, torch and the engine on a CPU (measured); CUDA's context and workspaces (assumed)."""
_UNKNOWN = {
    "use_galore": "GaLore's projections",
    "use_apollo": "APOLLO's projections",
    "use_badam": "BAdam's blocks",
    "use_muon": "Muon's states",
    "use_adam_mini": "Adam-mini's states",
    "use_unsloth": "what unsloth saves",
    "use_unsloth_gc": "the activations that lie in host memory",
    "use_kt": "the layers that KTransformers keeps in host memory",
    "fsdp": "how FSDP shards",
    "mixture_of_depths": "mixture of depths",
}


def memory(
    recipe: Loaded[TrainRecipe], base: ModelFiles, shape: Shape, longest: int | None, *, gpu: bool
) -> Memory:
    """longest: tokens of the longest sample, None where it is not known."""
    spec = recipe.spec
    length = cutoff = spec.cutoff
    if longest is not None and not spec.packed:
        # Padded to a multiple of 8 (train/sft/workflow.py).
        length = min(length, 8 * math.ceil(longest / 8))
    decided, compared = chain(recipe, base), needs_reference(recipe)
    reference = (compared and decided.makes == "full") or "ref_model" in decided.options
    rank = None if decided.concatenate else decided.rank
    evaluated = cutoff if isinstance(spec.data.validation, list) else length
    need = Need(
        {**spec.args, "lora_rank": rank} if rank else spec.args,
        spec.stage,
        spec.resources.devices,
        shape,
        length,
        gpu,
        compared,
        reference,
        evaluated if spec.data.validation else 0,
        zero_of(recipe),
    )
    return _memory(need)


def _memory(need: Need) -> Memory:
    args = need.args
    width = precision(args, need.shape, need.zero)
    parts = {
        **of_weights(need, width),
        **of_tokens(need, width),
        "framework": _FRAMEWORK[need.gpu],
    }
    turns = int(args.get("gradient_accumulation_steps", 1)) <= 1
    gone = parts["activations"] + parts["logits"]
    trained = max(gone, parts["gradients"]) if turns else gone + parts["gradients"]
    parts["evaluation"] = max(0.0, of_evaluation(need, width) - trained)
    unknown = [words for key, words in _UNKNOWN.items() if args.get(key)]
    if not known(args.get("optim")):
        unknown.append(f"the states of optimizer {args['optim']}")
    if any(offloaded(need.zero, key) for key in ("offload_optimizer", "offload_param")):
        unknown.append("what DeepSpeed puts into host memory")
    return Memory(
        parts={name: int(size) for name, size in parts.items() if size},
        turns=turns,
        unknown=tuple(unknown),
    )
