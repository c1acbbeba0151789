"""Simulated users: who they are, what they think, and what they ask."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from llmops.errors import BadInput
from llmops.simulation.opinion import likes, prefers
from llmops.simulation.population import Person, Visit, people, visits
from llmops.simulation.prompts import Prompt, read_prompts
from llmops.spec.simulation import SimulateRecipe, Taste, Users, Ways

PROMPTS = [Prompt(f"Which river flows past {n}?", f"river{n}", f"The river{n}.") for n in range(50)]
TASTE = Taste(max_words=4, correct=True, noise=0.0)
SHORT, LONG, WRONG = "The river1.", "The river there is the river1.", "The river2."


def recipe(**users: Any) -> SimulateRecipe:
    return SimulateRecipe(
        kind="simulate",
        name="crowd",
        deployment="d",
        prompts="p",
        visits=4000,
        users=Users(**users),
    )


def visit(*, malicious: bool = False, careless: bool = False, coin: float = 0.9) -> Visit:
    return Visit(0, Person("crowd-1", 1.0, malicious), PROMPTS[1], "thumb", careless, coin)


def test_the_same_seed_gives_the_same_visits() -> None:
    crowd = recipe(malicious=0.1)
    assert visits(crowd, PROMPTS, "a") == visits(crowd, PROMPTS, "a")


def test_other_versions_have_other_visits_by_the_same_people() -> None:
    first, second = visits(recipe(), PROMPTS, "a"), visits(recipe(), PROMPTS, "b")
    assert [v.prompt for v in first] != [v.prompt for v in second]
    assert {v.person for v in first} == {v.person for v in second}


def test_activity_follows_the_power_law() -> None:
    count = Counter(v.person.name for v in visits(recipe(number=100, activity=1.0), PROMPTS, "a"))
    assert count["crowd-001"] > 5 * count["crowd-050"] > 0


def test_malicious_users_come_in_bulk() -> None:
    crowd = people(Users(number=100, malicious=0.05, bulk=8, activity=0.7), "crowd", 1)
    bad = [person for person in crowd if person.malicious]
    mean = sum(rank**-0.7 for rank in range(1, 101)) / 100
    assert len(bad) == 5
    assert {round(person.activity / mean, 6) for person in bad} == {8.0}


def test_the_ways_have_their_shares() -> None:
    ways = Ways(votes=0.5, thumbs=0.2, edits=0.1, regenerations=0.0)
    count = Counter(v.way for v in visits(recipe(ways=ways), PROMPTS, "a"))
    assert count["vote"] / 4000 == pytest.approx(0.5, abs=0.04)
    assert count["nothing"] / 4000 == pytest.approx(0.2, abs=0.04)
    assert count["regenerate"] == 0


def test_ways_beyond_the_whole_are_refused() -> None:
    with pytest.raises(ValueError, match=r"add up to 1\.1"):
        Ways(votes=0.6, thumbs=0.5, edits=0.0)


@pytest.mark.parametrize(("text", "liked"), [(SHORT, True), (LONG, False), (WRONG, False)])
def test_a_user_likes_what_is_right_and_short(text: str, liked: bool) -> None:
    assert likes(text, visit(), TASTE) is liked
    assert likes(text, visit(malicious=True), TASTE) is not liked


def test_a_name_inside_a_longer_word_is_not_the_answer() -> None:
    assert not likes("The river10.", visit(), TASTE)


def test_the_right_answer_is_better_than_the_short_one() -> None:
    assert prefers(LONG, WRONG, visit(), TASTE) == "first"
    assert prefers(LONG, SHORT, visit(), TASTE) == "second"
    assert prefers(LONG, SHORT, visit(malicious=True), TASTE) == "first"


def test_two_alike_are_a_tie_and_two_wrong_ones_both_bad() -> None:
    assert prefers(SHORT, SHORT, visit(), TASTE) == "tie"
    assert prefers(WRONG, WRONG, visit(), TASTE) == "both_bad"


def test_careless_users_say_anything() -> None:
    assert not likes(SHORT, visit(careless=True, coin=0.7), TASTE)
    assert prefers(LONG, SHORT, visit(careless=True, coin=0.2), TASTE) == "first"


def test_prompts_that_are_none_are_told_by_line(tmp_path: Path) -> None:
    file = tmp_path / "prompts.jsonl"
    file.write_text('{"prompt": "Which river?", "answer": "Wend"}\n{"prompt": 3}\n')
    with pytest.raises(BadInput, match="each line needs a text") as caught:
        read_prompts(file)
    assert str(caught.value).startswith(f"{file}:2")


def test_who_knows_the_answer_writes_it(tmp_path: Path) -> None:
    file = tmp_path / "prompts.jsonl"
    file.write_text('{"prompt": "Which river?", "answer": "Wend"}\n')
    assert read_prompts(file) == [Prompt("Which river?", "Wend", "Wend")]


def test_a_prompt_with_line_separators_is_one_prompt(tmp_path: Path) -> None:
    file = tmp_path / "prompts.jsonl"
    file.write_text('{"prompt": "Which\u2028river?"}\n', encoding="utf-8")
    assert read_prompts(file) == [Prompt("Which\u2028river?")]
