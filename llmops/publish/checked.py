"""Whether a model that was made of another says the same: the golden prompts of both, computed one
after the other by the training engine on this machine, in one dtype."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from llmops.engines.contract import Environment, ModelFiles
from llmops.errors import Failed
from llmops.registry.golden import compute_golden
from llmops.registry.manifest import Golden
from llmops.serving.golden import INDISTINCT, coarser, difference, distance

MERGED = {"float32": 1e-3, "float16": 0.05, "bfloat16": 0.25}
"""The largest difference of a log-probability (natural logarithm) between base + adapter and what
was merged of them, by the dtype of the weights; docs/registry.md has what was measured."""


@dataclass(frozen=True)
class Compared:
    """golden: the prompts of the new model. difference: the largest of a log-probability, over the
    tokens that both have; None when there are no prompts (no text model)."""

    golden: list[Golden]
    difference: float | None


def compared(
    before: ModelFiles,
    made: ModelFiles,
    prompts: Sequence[Any],
    environment: Environment,
    dtype: str,
) -> Compared:
    """Run both. prompts: messages or texts. Raises Failed when either cannot be run, and as
    `differences`."""
    expected, golden = compute_golden([before, made], environment, dtype, prompts)
    return Compared(golden, max(differences(expected, golden, dtype), default=None))


def differences(before: list[Golden], made: list[Golden], dtype: str) -> list[float]:
    """Of each prompt the largest. Raises Failed where `made` is nearer to the base of `before` than
    to `before` itself."""
    found = []
    for pair in zip(before, made, strict=True):
        own, base, now = _alike(*pair)
        told_apart = distance(own, base) > INDISTINCT[coarser(dtype, dtype)]
        if told_apart and distance(base, now) < distance(own, now):
            raise Failed(
                "what was made says what the base says, not what the adapter does: nothing was "
                "registered",
                fix="look at the adapter in a server (`llmops serve`), and report this with both",
            )
        found.append(difference(own, now))
    return found


def check_merged(found: Compared, dtype: str) -> None:
    """Raises Failed when the merged model differs by more than rounding can explain."""
    limit = MERGED[coarser(dtype, dtype)]
    if found.difference is not None and not found.difference <= limit:
        raise Failed(
            f"the merged model differs from base + adapter by {found.difference:.2g} in a "
            f"log-probability, {limit:g} is what {dtype} explains: nothing was registered",
            fix="make the base in a finer dtype (bfloat16 rounds most), and merge on that",
        )


def _alike(one: Golden, other: Golden) -> tuple[list[float], list[float], list[float]]:
    """The log-probabilities of `one`, of its base and of `other` for the tokens that both have: two
    nearly equal models may choose another word somewhere, and go on from there."""
    ids = [golden.prompt_ids + golden.completion_ids for golden in (one, other)]
    same = next(
        (n for n, (a, b) in enumerate(zip(*ids, strict=False)) if a != b), min(map(len, ids))
    )
    count = max(0, same - 1)  # the first token has no figure
    base = one.base_logprobs or one.logprobs
    return one.logprobs[:count], base[:count], other.logprobs[:count]
