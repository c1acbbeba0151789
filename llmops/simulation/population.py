"""Who the simulated users are, and which visits they make. Drawn from the seed alone."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

from llmops.simulation.prompts import Prompt
from llmops.spec.simulation import SimulateRecipe, Users, Ways

Way = Literal["vote", "thumb", "edit", "regenerate", "nothing"]


@dataclass(frozen=True)
class Person:
    """One user. activity: relative to that of the others; malicious: rates against the taste."""

    name: str
    activity: float
    malicious: bool


@dataclass(frozen=True)
class Visit:
    """One conversation. way: how the user will say what they think. careless: whether the opinion
    is random, and coin (0 to 1) then says which."""

    number: int
    person: Person
    prompt: Prompt
    way: Way
    careless: bool
    coin: float


def people(users: Users, name: str, seed: int) -> list[Person]:
    """The users of a simulation: the same ones each time, whatever is deployed."""
    draw = random.Random(f"{seed}:{name}:people")
    weights = [rank**-users.activity for rank in range(1, users.number + 1)]
    mean = sum(weights) / len(weights)
    bad = set(draw.sample(range(users.number), round(users.malicious * users.number)))
    return [
        Person(
            f"{name}-{i + 1:0{len(str(users.number))}d}",
            users.bulk * mean if i in bad else weight,
            i in bad,
        )
        for i, weight in enumerate(weights)
    ]


def visits(recipe: SimulateRecipe, prompts: Sequence[Prompt], salt: str) -> list[Visit]:
    """Who comes when, asks what and says it how.

    salt: what the visits are made to, so that another version has other visits.
    """
    persons = people(recipe.users, recipe.name, recipe.seed)
    draw = random.Random(f"{recipe.seed}:{recipe.name}:{salt}")
    activity = list(accumulate(person.activity for person in persons))
    ways, shares = _ways(recipe.users.ways)
    noise = recipe.users.taste.noise
    return [
        Visit(
            number,
            draw.choices(persons, cum_weights=activity)[0],
            draw.choice(prompts),
            draw.choices(ways, cum_weights=shares)[0],
            draw.random() < noise,
            draw.random(),
        )
        for number in range(recipe.visits)
    ]


def _ways(ways: Ways) -> tuple[list[Way], list[float]]:
    said = [ways.votes, ways.thumbs, ways.edits, ways.regenerations]
    silent = max(0.0, 1.0 - sum(said))
    return ["vote", "thumb", "edit", "regenerate", "nothing"], list(accumulate([*said, silent]))
