"""What goes wrong in a training, in series made for it; where all goes well, nothing."""

import math
import random
from collections.abc import Iterable, Sequence

import pytest

from llmops.engines.contract import Progress
from llmops.runner.alarm import Alarm, Alarms, alarms

Row = dict[str, float]


def readings(rows: Iterable[Row], every: int = 5) -> list[Progress]:
    """A reading for each row, as the follower gives them: an evaluation is one of its own."""
    rows = list(rows)
    found = []
    for at, row in enumerate(rows, 1):
        step, total = at * every, len(rows) * every
        loss = row.get("loss", 1.0)
        values = {key: value for key, value in row.items() if key not in ("loss", "eval_loss")}
        found.append(Progress("training", step, total, loss, learning_rate=1e-3, values=values))
        if "eval_loss" in row:
            evaluated = {"eval_loss": row["eval_loss"]}
            found.append(Progress("training", step, total, loss, values=evaluated))
    return found


def kinds(rows: Iterable[Row]) -> list[str]:
    return [alarm.kind for alarm in alarms(readings(rows))]


def losses(values: Sequence[float]) -> list[Row]:
    return [{"loss": value} for value in values]


def falling(count: int = 100, noise: float = 0.15) -> list[float]:
    """A loss as trainings have it: it falls, and scatters."""
    chance = random.Random(7)
    return [1 + 3 * math.exp(-at / 20) + chance.gauss(0, noise) for at in range(count)]


def evaluated(*evaluations: float) -> list[Row]:
    """A loss that falls, evaluated at each step."""
    return [{"loss": 3 * 0.9**at, "eval_loss": value} for at, value in enumerate(evaluations)]


def test_a_training_that_goes_well_raises_no_alarm() -> None:
    rows = [
        {"loss": loss, "eval_loss": loss + 0.1, "grad_norm": 0.5 + loss / 4}
        for loss in falling(noise=0.01)
    ]
    assert kinds(rows) == []


@pytest.mark.parametrize("seed", range(20))
def test_noise_is_no_alarm(seed: int) -> None:
    chance = random.Random(seed)
    rows = [
        {"loss": chance.lognormvariate(0.3, 0.3), "grad_norm": chance.lognormvariate(0, 0.7)}
        for _ in range(400)
    ]
    assert kinds(rows) == []


def test_validation_that_rises_while_the_loss_falls_is_overfitting() -> None:
    (alarm,) = alarms(readings(evaluated(2.0, 1.5, 1.4, 1.5, 1.6, 1.7)))
    assert (alarm.kind, alarm.step) == ("overfitting", 30)
    assert "from 1.4 at step 15 to 1.7" in alarm.text


def test_validation_that_rises_with_the_loss_is_not() -> None:
    rows = [{"loss": 1 + at / 50, "eval_loss": 1.4 + at / 10} for at in range(6)]
    assert "overfitting" not in kinds(rows)


def test_two_evaluations_are_not_enough() -> None:
    assert kinds(evaluated(2.0, 1.4, 1.5, 1.6)) == []


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_no_number_is_told_at_once(value: float) -> None:
    (alarm,) = alarms(readings(losses([2.0, 1.9, value])))
    assert (alarm.kind, alarm.step) == ("instability", 15)


def test_fp16_may_overflow_twice() -> None:
    rows = [{"grad_norm": math.inf}, {"grad_norm": math.inf}, {"grad_norm": 1.0}]
    assert kinds(rows) == []
    assert kinds([{"grad_norm": math.inf}] * 3) == ["instability"]


def test_a_loss_that_rises_and_stays_is_unstable_and_one_spike_is_not() -> None:
    assert kinds(losses([*falling(50), 9.0, *falling(60)[50:]])) == []
    assert kinds(losses([*falling(50), 9.0, 8.0, 9.0])) == ["instability"]


def test_a_training_that_diverges_at_once_is_seen_at_once() -> None:
    (alarm,) = alarms(readings(losses([6.9, 30.0, 18.0, 16.0])))
    assert (alarm.kind, alarm.step) == ("instability", 20)


def test_gradients_that_explode() -> None:
    rows = [{"grad_norm": 0.8}] * 10 + [{"grad_norm": 40.0}] * 3
    assert kinds(rows) == ["instability"]


def test_accuracy_at_chance_is_told_after_half_of_the_steps() -> None:
    chance = random.Random(1)
    rows = [{"accuracy": chance.gauss(0.5, 0.1)} for _ in range(200)]
    (alarm,) = alarms(readings(rows))
    assert (alarm.kind, alarm.step) == ("no_preference", 500)


def test_accuracy_that_grows_is_fine() -> None:
    assert kinds([{"accuracy": min(0.9, at / 40)} for at in range(80)]) == []


def test_margins_that_collapse() -> None:
    rows = [{"margin": at / 10} for at in range(20)] + [{"margin": 0.2}] * 5
    (alarm,) = alarms(readings(rows))
    assert alarm.kind == "collapse"
    assert kinds([{"margin": at / 10} for at in range(40)]) == []


def test_a_warning_that_repeats_a_reading_is_not_another_reading() -> None:
    seen = Alarms()
    reading = Progress("training", 5, 10, 1.0, learning_rate=1e-3, warning="a template")
    bad = Progress("training", 5, 10, math.nan, learning_rate=1e-3, warning="a template")
    assert seen.see(reading) == seen.see(bad) == []


def test_each_kind_is_told_once() -> None:
    found: list[Alarm] = alarms(readings(losses([1.0] + [math.nan] * 50)))
    assert len(found) == 1
