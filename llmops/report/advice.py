"""What to try next: rules over a stage's figures, each with the reason why it speaks."""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import fmean

from llmops.report.trained import Trained


@dataclass(frozen=True)
class Advice:
    """what: to do; why: what was seen that speaks for it."""

    what: str
    why: str


def advice(stage: Trained) -> list[Advice]:
    """What a person who knows the method would try, most urgent first."""
    return [found for rule in RULES if (found := rule(stage)) is not None]


def _seen(stage: Trained, kind: str) -> str:
    return next((alarm.text for alarm in stage.alarms if alarm.kind == kind), "")


def _unstable(stage: Trained) -> Advice | None:
    why = _seen(stage, "instability")
    rates = [value for _, value in stage.points("learning_rate")]
    if not why:
        return None
    rate = f" (`learning_rate: {max(rates) / 3:.1e}`)" if rates and max(rates) > 0 else ""
    return Advice(f"a third of the learning rate{rate}, or a longer `warmup_steps`", why)


def _overfit(stage: Trained) -> Advice | None:
    why, best = _seen(stage, "overfitting"), stage.best
    if not why or best is None:
        return None
    return Advice(
        f"fewer steps (`max_steps: {best[0]:.0f}`) or more data; "
        "`watch: {overfitting: stop}` keeps the best checkpoint by itself",
        why,
    )


def _no_preference(stage: Trained) -> Advice | None:
    why = _seen(stage, "no_preference")
    what = (
        "look at the pairs (`llmops data show RECIPE`): are the chosen answers better in a way "
        "that a model can see? If they are, a higher `learning_rate` or more steps"
    )
    return Advice(what, why) if why else None


def _collapsed(stage: Trained) -> Advice | None:
    why = _seen(stage, "collapse")
    what = (
        "a lower `learning_rate`, a higher `pref_beta`, or `pref_ftx: 0.5`, which holds the model "
        "to the chosen answers"
    )
    return Advice(what, why) if why else None


def _not_the_best(stage: Trained) -> Advice | None:
    best, found = stage.best, stage.points("eval_loss")
    if best is None or stage.args.get("load_best_model_at_end") or _seen(stage, "overfitting"):
        return None
    if stage.made is not None and stage.made.lineage.stopped:
        return None
    if found[-1][1] <= best[1] * 1.01:
        return None
    return Advice(
        "`load_best_model_at_end: true`: what was registered is the last step, not the best",
        f"validation loss was {best[1]:.3g} at step {best[0]:.0f}, {found[-1][1]:.3g} at the end",
    )


def _still_falling(stage: Trained) -> Advice | None:
    name = "eval_loss" if len(stage.points("eval_loss")) >= 8 else "loss"
    values = [value for _, value in stage.points(name)]
    part = len(values) // 4
    if part < 2 or stage.alarms:
        return None
    third, last = fmean(values[-2 * part : -part]), fmean(values[-part:])
    if not 0 < last < third * 0.95:
        return None
    what = {"eval_loss": "validation loss", "loss": "the loss"}[name]
    return Advice("more steps", f"{what} still fell, from {third:.3g} to {last:.3g} in the end")


def _unseen(stage: Trained) -> Advice | None:
    if stage.points("eval_loss"):
        return None
    return Advice(
        "`data.validation: 0.05` and `eval_strategy: steps`",
        "nothing was held out, so nobody can tell whether it learned or learned by heart",
    )


RULES: tuple[Callable[[Trained], Advice | None], ...] = (
    _unstable,
    _overfit,
    _no_preference,
    _collapsed,
    _not_the_best,
    _still_falling,
    _unseen,
)
