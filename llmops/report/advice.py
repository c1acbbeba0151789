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
    found = next((alarm for alarm in stage.alarms if alarm.kind == "instability"), None)
    if found is None:
        return None
    rates = [value for step, value in stage.points("learning_rate") if step <= found.step]
    what = "a lower `learning_rate`"
    if rates and rates[-1] > 0:
        what += f": {rates[-1] / 10:.1e} to {rates[-1] / 3:.1e}, for it was {rates[-1]:.1e} by then"
    what += "; or a longer `warmup_steps`" if rates and rates[-1] >= max(rates) else ""
    return Advice(what, f"{found.text} (step {found.step})")


def _overfit(stage: Trained) -> Advice | None:
    why, best = _seen(stage, "overfitting"), stage.best
    if not why or best is None:
        return None
    if stage.keeps_best:
        return Advice("more data, or other: the best step is kept, and more steps do not help", why)
    stop = "; `watch: {overfitting: stop}` keeps the best checkpoint by itself"
    fewer = f"fewer steps (`max_steps: {best[0]:.0f}`) or more data"
    return Advice(fewer + (stop if stage.can_keep_best else ""), why)


def _no_preference(stage: Trained) -> Advice | None:
    why = _seen(stage, "no_preference")
    if not why:
        return None
    if _late(stage, "accuracy") >= 0.6 or not stage.points("accuracy"):
        rate = max((value for _, value in stage.points("learning_rate")), default=0.0)
        return Advice(f"a higher `learning_rate` than {rate:.1e}, or more steps", why)
    return Advice(
        "look at the pairs (`llmops data show RECIPE`): are the chosen answers better in a way "
        "that a model can see, and not the other way round in half of them?",
        why,
    )


def _collapsed(stage: Trained) -> Advice | None:
    why = _seen(stage, "collapse")
    if not why:
        return None
    rates = [value for _, value in stage.points("learning_rate")]
    than = f" than {max(rates):.1e}" if rates else ""
    held = ", or `pref_ftx: 0.5`, which holds the model to the chosen answers"
    more = "" if stage.args.get("pref_ftx") else held
    return Advice(f"a lower `learning_rate`{than}, a higher `pref_beta`{more}", why)


def _not_the_best(stage: Trained) -> Advice | None:
    best, found = stage.best, stage.points("eval_loss")
    if best is None or stage.keeps_best or _seen(stage, "overfitting"):
        return None
    if stage.made is None or found[-1][1] <= best[1] + abs(best[1]) * 0.02:
        return None
    how = "load_best_model_at_end: true" if stage.can_keep_best else f"max_steps: {best[0]:.0f}"
    return Advice(
        f"`{how}`: what was registered is the last step, not the best",
        f"validation loss was {best[1]:.3g} at step {best[0]:.0f}, {found[-1][1]:.3g} at the end",
    )


def _still_falling(stage: Trained) -> Advice | None:
    """By validation alone, whose last is the lowest; without one, by the loss of samples that were
    seen for the first time. Once the chosen answers are preferred nearly always, a loss falls by
    margins that grow."""
    if stage.made is None or stage.alarms or _late(stage, "accuracy") >= 0.95:
        return None
    name, what = "eval_loss", "validation loss"
    if not stage.points(name):
        epochs = [value for _, value in stage.points("epoch")]
        if not epochs or epochs[-1] > 1:
            return None
        name, what = "loss", "the loss"
    values = [value for _, value in stage.points(name)]
    part = max(1, len(values) // 4)
    third, last = fmean(values[-2 * part : -part] or values), fmean(values[-part:])
    lowest = stage.best is None or values[-1] <= stage.best[1]
    if len(values) < 4 or not lowest or not 0 < last < third * 0.95:
        return None
    return Advice("more steps", f"{what} still fell, from {third:.3g} to {last:.3g} in the end")


def _late(stage: Trained, name: str) -> float:
    """A figure in the last quarter of its readings; 0 where there is none."""
    values = [value for _, value in stage.points(name)]
    return fmean(values[-max(1, len(values) // 4) :]) if values else 0.0


def _unseen(stage: Trained) -> Advice | None:
    if stage.points("eval_loss") or stage.alarms:
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
