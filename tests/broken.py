"""A recipe that is broken, and what is said of it by the plan and by the real engine."""

from typing import Any, NamedTuple

EVAL = {"eval_strategy": "steps", "eval_steps": 10}
BEST = {**EVAL, "load_best_model_at_end": True}
ZERO2: dict[str, Any] = {"zero_optimization": {"stage": 2}}
ZERO3: dict[str, Any] = {"zero_optimization": {"stage": 3}}
SHARE = {"validation": 0.2}


class Broken(NamedTuple):
    """A good recipe of `stage` with `args`. says: words of the refusal; gpus: of the machine that
    is planned for; more: other keys of the recipe. real: words of the engine's parser, empty where
    it lets the recipe pass; late: words of its error thereafter, empty where it trains, but not
    what was asked for."""

    stage: str
    args: dict[str, Any]
    says: str
    gpus: int = 0
    more: dict[str, Any] = {}  # noqa: RUF012  never changed
    real: str = ""
    late: str = ""
