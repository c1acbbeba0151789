"""Random logs: what Polars makes of them is what plain Python makes of them."""

import random

import pytest

from llmops.preferences import rows
from llmops.preferences.build import Built, build
from llmops.preferences.log import Log
from llmops.spec.preferences import PreferencesRecipe
from tests.fast.preference_oracle import Pairs, expected
from tests.fast.said import Said, recipe

BUILDERS = ("votes", "edits", "regenerations", "ratings", "thumbs")


def random_log(seed: int, events: int = 250) -> Said:
    """Few prompts, texts and users, so that they meet; some times are the same."""
    chance, said = random.Random(seed), Said()
    users = [f"user {number}" for number in range(8)]
    texts = ["the elm", "the  elm", "an oak", "the elm, of course", "", "no idea", "oak"]
    ids = [
        said.ask(
            f"prompt {chance.randrange(4)}",
            chance.choice(texts),
            chance.choice(users),
            error=chance.choice([None] * 9 + ["broke"]),
        )
        for _ in range(60)
    ]
    for _ in range(events):
        user, about, other = chance.choice([*users, None]), *chance.sample(ids, 2)
        kind = chance.choice(["choice", "edit", "regenerate", "rating", "thumbs", "comment"])
        said.say(
            kind,
            about,
            user,
            other=other if kind in ("choice", "regenerate") else None,
            choice=chance.choice(["first", "second", "tie"]) if kind == "choice" else None,
            text=chance.choice(texts) if kind == "edit" else None,
            value={"rating": chance.randrange(5) / 4, "thumbs": float(chance.random() < 0.6)}.get(
                kind
            ),
            time=1_760_000_000_000 + chance.randrange(100),
        )
    return said


def found(built: Built) -> Pairs:
    return {
        (
            row["prompt"][0]["content"],
            " ".join(row["chosen"].split()),
            " ".join(row["rejected"].split()),
        ): (round(row["agreement"], 9), row["raters"])
        for row in built.rows.to_dicts()
    }


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize(
    "made",
    [
        recipe(*BUILDERS),
        recipe(*BUILDERS, per_rater=12, agreement=0.75),
        recipe(builders={"thumbs": {"per_prompt": 2}, "ratings": {"margin": 0.4}}),
    ],
    ids=["defaults", "strict", "singles"],
)
def test_polars_and_python_agree(seed: int, made: PreferencesRecipe) -> None:
    said = random_log(seed)
    only = {"votes": "choice", "edits": "edit", "regenerations": "regenerate"}
    for name, kind in only.items():
        if name not in made.builders.used:
            said.events = [event for event in said.events if event["kind"] != kind]
    built = build(said.log(), made)
    assert found(built) == expected(said, made)
    assert built.rows.height == len(found(built)) > 0


@pytest.mark.parametrize("seed", range(4))
def test_the_order_of_the_log_does_not_matter(seed: int) -> None:
    log, made = random_log(seed).log(), recipe(*BUILDERS)
    shuffled = Log(
        log.inferences.sample(fraction=1, shuffle=True, seed=seed),
        log.events.sample(fraction=1, shuffle=True, seed=seed + 1),
        log.now,
    )
    assert rows.digest(build(log, made).rows) == rows.digest(build(shuffled, made).rows)


@pytest.mark.parametrize("seed", range(4))
def test_every_event_is_used_or_accounted_for(seed: int) -> None:
    said = random_log(seed)
    built = said.build("votes")
    lost = sum(drop.count for drop in built.report.drops if drop.unit == "events")
    assert lost + built.report.opinions["votes"] == len(said.events)
