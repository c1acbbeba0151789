"""Comparing a served version with its golden prompts: tokens exactly, log-probabilities closely.

Tokens come from the server's own rendering (`/tokenize`), log-probabilities from a completion of
the stored token ids with `prompt_logprobs`. One comparison tells apart a wrong chat template, a
wrong base, an adapter that does nothing, and other weights than those registered.

Does not judge quality, and sees only what the stored prompts touch.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from llmops.errors import Failed
from llmops.registry.manifest import Golden
from llmops.serving.endpoint import post

if TYPE_CHECKING:
    import httpx

# The largest difference of one log-probability (natural logarithm) that counts as equal, by the
# coarser of the two engines' dtypes. Measured on a model of 1.3M parameters, training engine in
# float32: vLLM in float32 differed by 5e-6, in bfloat16 by 0.07; deeper models round more often.
TOLERANCES = {"float32": 1e-2, "float16": 0.1, "bfloat16": 0.5}
COARSEST = "bfloat16"

# An adapter whose log-probabilities lie no further (Euclidean) from its base's than this is not
# told apart from it by the prompt: about four times what rounding alone moves them.
INDISTINCT = {"float32": 1e-3, "float16": 0.05, "bfloat16": 0.25}

Cause = Literal["template", "base", "no effect", "weights"]


@dataclass(frozen=True)
class Compared:
    """A version that matches. difference: the largest, over all its prompts; distinct: whether
    any prompt tells the adapter from its base (always true for a full version)."""

    prompts: int
    difference: float
    distinct: bool


@dataclass(frozen=True)
class Mismatch:
    """Why a version does not match, with what the manifest expects and what the server gave."""

    cause: Cause
    expected: str
    found: str


def coarser(first: str | None, second: str | None) -> str:
    """The dtype that rounds more; an unknown one counts as the coarsest."""
    known = [dtype if dtype in TOLERANCES else COARSEST for dtype in (first, second)]
    return max(known, key=lambda dtype: TOLERANCES[str(dtype)]) or COARSEST


def check(
    client: "httpx.Client",
    model: str,
    golden: Sequence[Golden],
    *,
    base: str | None,
    dtype: str,
    max_model_len: int | None = None,
    variants: Sequence[str] = (),
) -> Compared:
    """Compare every golden prompt of a served version.

    model: its name at the server; base: that of the base alone, for an adapter; dtype: the
    coarser of the server's and the training engine's; max_model_len: prompts are compared as far
    as the server's context goes.
    Raises Failed, naming version, prompt, expected and found, at the first that does not match.
    """
    largest, distinct = 0.0, base is None
    for number, prompt in enumerate(golden, start=1):
        ids = _ids(prompt, max_model_len)
        found: list[float] = []
        problem = compare_tokens(prompt, tokens(client, model, prompt))
        if problem is None:
            found = logprobs(client, model, ids)
            problem = compare(prompt, found, dtype)
        if problem is not None:
            problem = _blame_base(client, base, prompt, ids, problem, dtype)
            raise _failed(model, base, number, len(golden), prompt, problem, variants)
        largest = max(largest, difference(prompt.logprobs, found))
        if prompt.base_logprobs is not None:
            distinct |= distance(prompt.logprobs, prompt.base_logprobs) > INDISTINCT[dtype]
    return Compared(len(golden), largest, distinct)


def compare_tokens(prompt: Golden, found: Sequence[int]) -> Mismatch | None:
    """The prompt's tokens, which must be the very same."""
    if list(found) == prompt.prompt_ids:
        return None
    first = next(
        (i for i, (a, b) in enumerate(zip(prompt.prompt_ids, found, strict=False)) if a != b),
        min(len(prompt.prompt_ids), len(found)),
    )
    return Mismatch(
        "template",
        f"{len(prompt.prompt_ids)} tokens, from number {first}: {prompt.prompt_ids[first:][:8]}",
        f"{len(found)} tokens, from number {first}: {list(found)[first:][:8]}",
    )


def compare(prompt: Golden, found: Sequence[float], dtype: str) -> Mismatch | None:
    """The log-probabilities, as far as `found` goes. An adapter must also be nearer to its own
    than to those of its base alone."""
    own = prompt.logprobs[: len(found)]
    bare = (prompt.base_logprobs or [])[: len(found)]
    limit = TOLERANCES[dtype]
    told_apart = bool(bare) and distance(own, bare) > INDISTINCT[dtype]
    if told_apart and distance(bare, found) <= distance(own, found):
        cause: Cause = "no effect" if difference(bare, found) <= limit else "weights"
        return Mismatch(cause, *_furthest(own, found))
    if difference(own, found) <= limit:
        return None
    return Mismatch("weights", *_furthest(own, found))


def difference(expected: Sequence[float], found: Sequence[float]) -> float:
    """The largest difference, over as many figures as both have; NaN counts as infinite."""
    pairs = zip(expected, found, strict=False)
    return max((d if (d := abs(a - b)) == d else float("inf") for a, b in pairs), default=0.0)


def distance(expected: Sequence[float], found: Sequence[float]) -> float:
    """Euclidean, over as many figures as both have: rounding averages out of it."""
    return math.dist(*zip(*zip(expected, found, strict=False), strict=True)) if expected else 0.0


def tokens(client: "httpx.Client", model: str, prompt: Golden) -> list[int]:
    """What the server makes of the prompt, rendered as it renders a request."""
    body: dict[str, Any] = {"model": model}
    if prompt.messages is not None:
        body |= {"messages": prompt.messages, "add_generation_prompt": True}
    else:
        body |= {"prompt": prompt.text or ""}
    return list(post(client, "/tokenize", body)["tokens"])


def logprobs(client: "httpx.Client", model: str, ids: Sequence[int]) -> list[float]:
    """Natural logarithms of the tokens from the second on, each given those before it."""
    body = {
        "model": model,
        "prompt": list(ids),
        "max_tokens": 1,
        "temperature": 0,
        "prompt_logprobs": 0,
    }
    rows = post(client, "/v1/completions", body)["choices"][0]["prompt_logprobs"]
    return [float(row[str(token)]["logprob"]) for token, row in zip(ids[1:], rows[1:], strict=True)]


def _ids(prompt: Golden, max_model_len: int | None) -> list[int]:
    """Prompt and completion, with room for the one token that a completion must ask for."""
    ids = prompt.prompt_ids + prompt.completion_ids
    return ids if max_model_len is None else ids[: max_model_len - 1]


def _blame_base(
    client: "httpx.Client",
    base: str | None,
    prompt: Golden,
    ids: Sequence[int],
    problem: Mismatch,
    dtype: str,
) -> Mismatch:
    """Whether the base alone is another one than the adapter was trained on."""
    if base is None or prompt.base_logprobs is None or problem.cause != "weights":
        return problem
    found = logprobs(client, base, ids)
    if difference(prompt.base_logprobs, found) <= TOLERANCES[dtype]:
        return problem
    return Mismatch("base", *_furthest(prompt.base_logprobs, found))


def _furthest(expected: Sequence[float], found: Sequence[float]) -> tuple[str, str]:
    """The pair that differs most, each with the token's place."""
    gaps = [abs(a - b) for a, b in zip(expected, found, strict=False)]
    worst = max(range(len(gaps)), key=lambda i: gaps[i] if gaps[i] == gaps[i] else float("inf"))
    place = f"log-probability of token {worst + 2}"
    return f"{place}: {expected[worst]:.4f}", f"{found[worst]:.4f}"


_MEANING: dict[Cause, tuple[str, str]] = {
    "template": (
        "the server makes other tokens of it than training did: another chat template or tokenizer",
        "register the version with the chat template that it was trained with",
    ),
    "base": (
        "the base that is served is not the one that the adapter was trained on",
        "the adapter needs its own base; look at `llmops models show` of both",
    ),
    "no effect": (
        "the adapter has no effect: the server answers as the base alone would",
        "its tensors are zero, or their names do not match the base's modules",
    ),
    "weights": (
        "the server computes other log-probabilities than the training engine did",
        "the weights are not those that were registered, or the server's dtype is too coarse",
    ),
}


def _failed(
    model: str,
    base: str | None,
    number: int,
    total: int,
    prompt: Golden,
    problem: Mismatch,
    variants: Sequence[str],
) -> Failed:
    what, fix = _MEANING[problem.cause]
    asked = prompt.messages[-1]["content"] if prompt.messages else prompt.text or ""
    shown = asked if len(asked) <= 80 else asked[:77] + "..."
    named = f" (variant {', '.join(variants)})" if variants else ""
    on = f" on {base}" if base else ""
    return Failed(
        f"{model}{on}{named} does not match golden prompt {number} of {total}, {shown!r}: {what}",
        fix=f"expected {problem.expected}, found {problem.found}; {fix}",
    )
