"""Experiments between two versions that are the same, between two that are not, and what it costs
to ask one (`python benchmarks/run.py experiments`).

`Crowd` makes the events of one simulated deployment: users who return with a power law, each with
an opinion of their own, so that a user's ratings hang together. Watched after every event: the
interval that llmops uses, beside a fixed-horizon interval on the users' means, looked at as often,
and beside llmops' interval on single ratings, as if they were users. No figure here needs an
engine.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from llmops.experiments.betting import Floats, log_capital
from llmops.experiments.blocks import differences
from llmops.experiments.ratio import LEVEL, check_ratio

ALPHA = 0.05
Z = 1.959964


@dataclass(frozen=True)
class Events:
    """What happened, in order: of which user, under which variant, and whether it was liked."""

    user: NDArray[np.int64]
    candidate: NDArray[np.bool_]
    value: Floats


@dataclass(frozen=True)
class Crowd:
    """users: how many there are; events: how many ratings; activity: exponent of the power law of
    visits; share: the candidate's; rate, gain: the share of liking users, and by how much more the
    candidate is liked; firmness: of a user's own opinion (0.5: nearly always the same rating);
    keen: by how much more the most active users like it."""

    users: int = 600
    events: int = 3000
    activity: float = 1.2
    share: float = 0.5
    rate: float = 0.5
    gain: float = 0.0
    firmness: float = 0.5
    keen: float = 0.0

    def draw(self, random: np.random.Generator) -> Events:
        ranks = np.arange(1, self.users + 1)
        weights = ranks**-self.activity
        user = random.choice(self.users, size=self.events, p=weights / weights.sum())
        candidate = random.random(self.users) < self.share
        lean = self.keen * (0.5 - ranks / self.users)
        mean = np.clip(self.rate + lean + self.gain * candidate, 0.02, 0.98)
        likes = random.beta(self.firmness * mean, self.firmness * (1 - mean))
        value = (random.random(self.events) < likes[user]).astype(np.float64)
        return Events(user, candidate[user], value)


def first_ratings(events: Events) -> NDArray[np.int64]:
    """The places of each user's first rating, in order."""
    _, places = np.unique(events.user, return_index=True)
    return np.sort(places)


def crossing(steps: Floats) -> int | None:
    """After how many differences the interval first leaves 0 out; None when it never does."""
    capital = np.maximum(log_capital(steps, 0.0, low=-1.0), log_capital(-steps, 0.0, low=-1.0))
    over = np.flatnonzero(capital >= math.log(2 / ALPHA))
    return int(over[0]) + 1 if len(over) else None


def by_user(events: Events, share: float) -> bool:
    """llmops: each user's first rating."""
    first = first_ratings(events)
    steps = differences(events.candidate[first], events.value[first], share)
    return crossing(steps) is not None


def by_rating(events: Events, share: float) -> bool:
    """The same interval on every rating, as if each came from another user."""
    return crossing(differences(events.candidate, events.value, share)) is not None


def peeking(events: Events, share: float) -> bool:
    """A 95% interval for the difference of users' means, looked at after every rating."""
    return bool(np.any(_excludes(events)))


def once(events: Events, share: float) -> bool:
    """The same, looked at once, at the end."""
    return bool(_excludes(events)[-1])


def _excludes(events: Events) -> NDArray[np.bool_]:
    """Whether the fixed-horizon interval leaves 0 out, after each rating; from 30 users a side."""
    order = np.argsort(events.user, kind="stable")
    user, value = events.user[order], events.value[order]
    starts = np.r_[True, user[1:] != user[:-1]]
    group = np.cumsum(starts) - 1
    first = np.flatnonzero(starts)
    count = np.arange(len(user)) - first[group] + 1
    sums = np.cumsum(value)
    mean = (sums - (sums - value)[first][group]) / count
    before = np.where(starts, 0.0, np.r_[0.0, mean[:-1]])
    changes = np.empty((3, len(user)))
    changes[:, order] = (starts, mean - before, mean**2 - before**2)
    sides = [
        np.cumsum(changes * chosen, axis=1) for chosen in (~events.candidate, events.candidate)
    ]
    with np.errstate(divide="ignore", invalid="ignore"):
        means = [side[1] / side[0] for side in sides]
        errors = [
            (side[2] / side[0] - m**2) / (side[0] - 1) for side, m in zip(sides, means, strict=True)
        ]
        z = np.abs(means[1] - means[0]) / np.sqrt(errors[0] + errors[1])
    enough = np.minimum(sides[0][0], sides[1][0]) >= 30
    return np.asarray(enough & (z > Z))


def ratio_alarm(events: Events, share: float) -> bool:
    """Whether the sample-ratio check ever speaks, asked after every new user."""
    arrived = events.candidate[first_ratings(events)]
    candidate = np.cumsum(arrived)
    control = np.arange(1, len(arrived) + 1) - candidate
    return any(
        check_ratio({1: (int(a), int(b))}, {1: share}).p < LEVEL
        for a, b in zip(control, candidate, strict=True)
    )


def alarms(
    watch: Callable[[Events, float], bool], crowd: Crowd, runs: int, *, seed: int = 0
) -> float:
    """The share of experiments in which `watch` speaks."""
    streams = np.random.default_rng(seed).spawn(runs)
    return sum(watch(crowd.draw(stream), crowd.share) for stream in streams) / runs


def alarm_table(runs: int) -> list[tuple[str, ...]]:
    """For each crowd, the share of experiments between equal versions in which each side speaks;
    all sides watch the same events."""
    rows = []
    for name, crowd in CROWDS.items():
        counts = dict.fromkeys(SIDES, 0)
        for stream in np.random.default_rng(0).spawn(runs):
            events = crowd.draw(stream)
            for side, watch in SIDES.items():
                counts[side] += watch(events, crowd.share)
        rows.append((name, *(f"{counts[side] / runs:.1%}" for side in SIDES)))
        print("  " + ", ".join(rows[-1]), flush=True)
    return rows


def power_table(runs: int) -> list[tuple[str, ...]]:
    """Users until a difference is decided, beside the sample size of one look at 80% power."""
    rows = []
    for gain, rate, share in ((0.1, 0.5, 0.5), (0.1, 0.5, 0.1), (0.1, 0.1, 0.5), (0.4, 0.4, 0.5)):
        needed = users_needed(gain, rate=rate, share=share, runs=runs)
        fixed = fixed_horizon(gain, rate=rate, share=share)
        figures = (*np.quantile(needed, [0.5, 0.8]), fixed)
        what = f"{rate:.0%} against {rate + gain:.0%}, {share:.0%} of the traffic"
        rows.append((what, *(f"{figure:,.0f}" for figure in figures)))
        print("  " + ", ".join(rows[-1]), flush=True)
    return rows


def users_needed(gain: float, *, rate: float, share: float, runs: int, seed: int = 0) -> Floats:
    """Users with a rating until the candidate is found better, for each run; inf for never."""
    found = []
    for random in np.random.default_rng(seed).spawn(runs):
        candidate = random.random(40_000) < share
        value = (random.random(40_000) < rate + gain * candidate).astype(np.float64)
        found.append(_arrived(candidate, value, share))
    return np.array(found)


CROWDS = {
    "even traffic": Crowd(),
    "a tenth of the traffic": Crowd(share=0.1),
    "seldom liked (5%)": Crowd(rate=0.05),
    "the most active like it more": Crowd(keen=0.8),
    "ever more active few": Crowd(activity=2.0, users=2000, events=6000),
}
SIDES = {
    "llmops": by_user,
    "llmops' interval, ratings as users": by_rating,
    "fixed horizon, watched": peeking,
    "fixed horizon, one look": once,
    "sample-ratio check (1%)": ratio_alarm,
}


def _arrived(candidate: NDArray[np.bool_], value: Floats, share: float) -> float:
    """How many users had come when the interval first left 0 out: the least number of which it
    follows, since blocks never change afterwards."""
    steps = differences(candidate, value, share)
    needed = crossing(steps)
    if needed is None:
        return math.inf
    low, high = 0, len(value)
    while low < high:
        middle = (low + high) // 2
        if len(differences(candidate[:middle], value[:middle], share)) >= needed:
            high = middle
        else:
            low = middle + 1
    return low


def fixed_horizon(gain: float, *, rate: float, share: float, power: float = 0.8) -> float:
    """Users that an experiment needs that is looked at once, by the usual formula."""
    z = Z + {0.5: 0.0, 0.8: 0.841621}[power]
    candidate = rate + gain
    variance = rate * (1 - rate) / (1 - share) + candidate * (1 - candidate) / share
    return z**2 * variance / gain**2
