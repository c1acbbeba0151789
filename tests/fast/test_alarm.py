"""What goes wrong in a training, in recorded series and in series made for it; where all goes well,
nothing.

trainings.jsonl: trainings of the town's recipes on the real engine, a line each, with the overrides
that they had. `swapped.jsonl` is town_dpo.jsonl with half of the pairs swapped; `few*.jsonl` are 32
or 48 rows of a file, `other*.jsonl` others. chosen_before is worked out from the engine's rewards.
"""

import json
import math
import random
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

from llmops.engines.contract import Progress
from llmops.runner.alarm import Alarm, Alarms, alarms

Row = dict[str, float]


TRAININGS = [
    json.loads(line)
    for line in (Path(__file__).parent / "trainings.jsonl").read_text("utf-8").splitlines()
]


def recorded(training: dict[str, Any]) -> list[Progress]:
    """Its readings; one with `eval_loss` is an evaluation."""
    found = []
    for row in training["rows"]:
        values = {name: value for name, value in row.items() if name not in ("step", "loss")}
        rate = None if "eval_loss" in row else 1e-3
        found.append(
            Progress(
                "training", row["step"], training["total"], row.get("loss"), rate, values=values
            )
        )
    return found


@pytest.mark.parametrize("training", TRAININGS, ids=[one["name"] for one in TRAININGS])
def test_a_real_training_is_told_for_what_it_was(training: dict[str, Any]) -> None:
    found = [[alarm.kind, alarm.step] for alarm in alarms(recorded(training))]
    assert found == training["alarms"]


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


def test_what_is_usual_is_what_was_lately() -> None:
    assert kinds(losses([8.0] * 30 + [1.0] * 20 + [3.0] * 3)) == ["instability"]


def test_a_rise_is_held_against_the_loss() -> None:
    assert kinds(losses([8.0] * 30 + [9.5] * 30)) == []
    assert kinds(losses([4.0] * 30 + [5.5] * 30)) == ["instability"]


def test_a_loss_that_creeps_up_is_unstable_and_noise_is_not() -> None:
    chance = random.Random(3)
    steady = [chance.gauss(2, 0.1) for _ in range(30)]
    slow = [2 + at / 25 + chance.gauss(0, 0.1) for at in range(40)]
    (alarm,) = alarms(readings(losses([*steady, *slow])))
    assert alarm.text.startswith("the loss crept up from ")
    assert kinds(losses([chance.gauss(2, 0.6) for _ in range(200)])) == []
    assert kinds(losses([at / 200 for at in range(100)])) == ["instability"]
    assert kinds(losses([at / 400 for at in range(100)])) == []  # less than three tenths


def test_gradients_that_explode() -> None:
    rows = [{"grad_norm": 0.8}] * 10 + [{"grad_norm": 40.0}] * 3
    assert kinds(rows) == ["instability"]


def test_accuracy_at_chance_is_told_after_half_of_the_steps() -> None:
    chance = random.Random(1)
    rows = [{"accuracy": chance.gauss(0.5, 0.1)} for _ in range(200)]
    (alarm,) = alarms(readings(rows))
    assert (alarm.kind, alarm.step) == ("no_preference", 500)
    assert alarms(readings(rows[:18])) == []  # too few to say
    assert len(alarms(readings(rows[:19]))) == 1  # as many as recipes/dpo.yaml has


def test_readings_of_single_pairs_scatter_and_prove_little() -> None:
    chance = random.Random(2)
    for _ in range(20):
        preferred = [{"accuracy": float(chance.random() < 0.75)} for _ in range(60)]
        assert kinds(preferred) == []


def test_a_margin_of_next_to_nothing_is_no_preference_whatever_its_sign() -> None:
    rows = [{"accuracy": 1.0, "margin": at * 1e-7} for at in range(60)]
    (alarm,) = alarms(readings(rows))
    assert (alarm.kind, alarm.step) == ("no_preference", 150)
    assert "the reward margin was 2e-06, where 0.01 is next to nothing" in alarm.text
    assert kinds([{"margin": -0.5}] * 60) == ["no_preference"]
    assert kinds([{"accuracy": 1.0, "margin": at * 1e-3} for at in range(60)]) == []


def test_accuracy_that_grows_is_fine() -> None:
    assert kinds([{"accuracy": min(0.9, at / 40)} for at in range(80)]) == []


def test_margins_that_collapse() -> None:
    rows = [{"margin": at / 10} for at in range(30)] + [{"margin": 0.2}] * 10
    (alarm,) = alarms(readings(rows))
    assert alarm.text == "the reward margin fell from 1.45 to 0.47"
    assert kinds([{"margin": at / 10} for at in range(40)]) == []


@pytest.mark.parametrize("seed", range(20))
def test_margins_of_few_pairs_scatter_without_a_collapse(seed: int) -> None:
    chance = random.Random(seed)
    assert kinds([{"margin": min(1, at / 50) + chance.gauss(0, 1)} for at in range(200)]) == []


def test_chosen_answers_that_become_unlikely_are_a_collapse() -> None:
    falls = [{"chosen": -1.0 - at, "chosen_before": -1.0} for at in range(10)]
    (alarm,) = alarms(readings(falls))
    assert (alarm.kind, alarm.step) == ("collapse", 45)
    assert "log-probability fell from -1 to -7: the model unlearns" in alarm.text


@pytest.mark.parametrize(("now", "before"), [(-250.0, -200.0), (-0.6, -0.1), (-9.0, 0.0)])
def test_chosen_answers_may_become_a_little_less_likely(now: float, before: float) -> None:
    assert kinds([{"chosen": now, "chosen_before": before}] * 40) == []


def test_a_warning_that_repeats_a_reading_is_not_another_reading() -> None:
    seen = Alarms()
    reading = Progress("training", 5, 10, 1.0, learning_rate=1e-3, warning="a template")
    bad = Progress("training", 5, 10, math.nan, learning_rate=1e-3, warning="a template")
    assert seen.see(reading) == seen.see(bad) == []


def test_each_kind_is_told_once() -> None:
    found: list[Alarm] = alarms(readings(losses([1.0] + [math.nan] * 50)))
    assert len(found) == 1
