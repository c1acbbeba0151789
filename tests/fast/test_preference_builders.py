"""Each builder of pairs, on a log of a few lines."""

import pytest

from tests.fast.said import Said, drops, recipe


@pytest.fixture
def said() -> Said:
    return Said()


def two(
    said: Said, first: str = "short", second: str = "long", prompt: str = "p"
) -> tuple[str, str]:
    return said.ask(prompt, first), said.ask(prompt, second)


@pytest.mark.parametrize(
    ("choice", "pairs"),
    [
        ("first", [("short", "long")]),
        ("second", [("long", "short")]),
        ("tie", []),
        ("both_bad", []),
    ],
)
def test_a_vote_prefers_what_it_names(said: Said, choice: str, pairs: list[object]) -> None:
    said.vote(*two(said), choice)
    assert said.pairs("votes") == pairs


def test_ties_are_counted_as_such(said: Said) -> None:
    for choice in ("tie", "both_bad"):
        said.vote(*two(said), choice)
    assert drops(said.build("votes")) == {"a tie": 1, "both answers are bad": 1}


def test_answers_to_different_prompts_are_not_compared(said: Said) -> None:
    said.vote(said.ask("p", "a"), said.ask("q", "b"), "first")
    assert drops(said.build("votes")) == {"its two answers have different prompts": 1}


def test_an_edit_is_preferred_to_what_it_edits(said: Said) -> None:
    said.edit(said.ask("p", "a long answer"), "an answer")
    assert said.pairs("edits") == [("an answer", "a long answer")]


@pytest.mark.parametrize(("share", "pairs"), [(0.25, 1), (0.3, 0)])
def test_an_edit_changes_at_least_a_share_of_the_words(
    said: Said, share: float, pairs: int
) -> None:
    said.edit(said.ask("p", "one two three four"), "one two three")
    built = said.build(builders={"edits": {"min_change": share}})
    assert built.rows.height == pairs
    assert drops(built) == ({} if pairs else {"too little was edited": 1})


def test_a_kept_answer_is_preferred_to_the_discarded_one(said: Said) -> None:
    first, second = two(said)
    said.say("regenerate", second, other=first)
    assert said.pairs("regenerations") == [("long", "short")]


def test_thumbs_meet_across_users(said: Said) -> None:
    first, second = two(said)
    said.thumb(first, True, "ann")
    said.thumb(second, False, "ben")
    assert said.pairs("thumbs") == [("short", "long")]
    alone = said.build(builders={"thumbs": {"across_users": False}})
    assert alone.rows.height == 0
    assert drops(alone) == {"no partner with the other thumb on the same prompt": 2}


def test_thumbs_of_one_user_meet_in_any_case(said: Said) -> None:
    first, second = two(said)
    said.thumb(first, True, "ann")
    said.thumb(second, False, "ann")
    assert said.pairs(builders={"thumbs": {"across_users": False}}) == [("short", "long")]


def test_thumbs_on_different_prompts_do_not_meet(said: Said) -> None:
    said.thumb(said.ask("p", "a"), True)
    said.thumb(said.ask("q", "b"), False)
    assert said.pairs("thumbs") == []


def test_each_thumbed_answer_takes_part_before_any_does_twice(said: Said) -> None:
    for text in ("good 1", "good 2", "good 3"):
        said.thumb(said.ask("p", text), True)
    for text in ("bad 1", "bad 2"):
        said.thumb(said.ask("p", text), False)
    assert said.pairs("thumbs") == [("good 1", "bad 1"), ("good 2", "bad 2"), ("good 3", "bad 1")]


def test_pairs_of_thumbs_are_limited_for_each_prompt(said: Said) -> None:
    for number in range(20):
        said.thumb(said.ask("p", f"text {number}"), number % 2 == 0)
    assert len(said.pairs(builders={"thumbs": {"per_prompt": 3}})) == 3


def test_an_answer_with_as_many_thumbs_up_as_down_says_nothing(said: Said) -> None:
    first, second = two(said)
    said.thumb(first, True, "ann")
    said.thumb(first, False, "ben")
    said.thumb(second, False, "ann")
    assert drops(said.build("thumbs")) == {
        "as many thumbs up as down": 1,
        "no partner with the other thumb on the same prompt": 1,
    }


@pytest.mark.parametrize(("low", "pairs"), [(0.5, 1), (0.51, 0)])
def test_ratings_lie_a_margin_apart(said: Said, low: float, pairs: int) -> None:
    first, second = two(said)
    said.rate(first, 0.75, "ann")
    said.rate(second, low, "ben")
    assert len(said.pairs("ratings")) == pairs


def test_ratings_pair_the_best_with_the_worst(said: Said) -> None:
    for value in (0.0, 0.5, 1.0, 0.25, 0.75):
        said.rate(said.ask("p", f"worth {value}"), value, f"rater of {value}")
    assert said.pairs("ratings") == [("worth 0.75", "worth 0.25"), ("worth 1.0", "worth 0.0")]


def test_several_ratings_of_a_text_count_by_their_mean(said: Said) -> None:
    first, second = two(said)
    for user, value in (("ann", 1.0), ("ben", 0.2)):
        said.rate(first, value, user)
    said.rate(second, 0.4, "cid")
    assert said.pairs("ratings") == []


def test_only_the_builders_that_are_named_read(said: Said) -> None:
    first, second = two(said)
    said.vote(first, second, "first")
    said.edit(first, "better")
    assert said.pairs("edits") == [("better", "short")]


def test_a_pair_of_several_builders_is_one_and_credited_to_the_first(said: Said) -> None:
    first, second = two(said)
    said.vote(first, second, "first", "ann")
    said.say("regenerate", first, "ben", other=second)
    row = said.build("votes", "regenerations").rows.to_dicts()
    assert [(one["builder"], one["raters"], one["votes"]) for one in row] == [("votes", 2, 2)]


def test_a_pair_names_all_that_it_came_from(said: Said) -> None:
    first, second = two(said)
    third = said.ask("p", "short")
    events = [said.thumb(first, True, "ann"), said.thumb(third, True, "ben")]
    events.append(said.thumb(second, False, "cid"))
    (row,) = said.build("thumbs").rows.to_dicts()
    assert row["inferences"] == sorted([first, second, third])
    assert row["events"] == sorted(events)
    assert (row["raters"], row["agreement"]) == (3, 1.0)


def test_thumbs_make_single_answers_for_kto(said: Said) -> None:
    first, second = two(said)
    said.thumb(first, True)
    said.thumb(second, False)
    built = said.build("thumbs", layout="unpaired")
    assert sorted(built.rows.select("answer", "label").iter_rows()) == [
        ("long", False),
        ("short", True),
    ]
    assert built.report.good == 1


def test_a_builder_that_is_named_alone_has_its_defaults() -> None:
    short = recipe(builders={"votes": None, "thumbs": {}}).builders
    assert list(short.used) == ["votes", "thumbs"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"builders": {}}, "name at least one: votes"),
        ({"layout": "unpaired", "builders": {"votes": {}, "thumbs": {}}}, "leave out votes"),
        ({"layout": "unpaired", "builders": {"thumbs": {}}, "length_bias": 0.8}, "unpaired"),
    ],
)
def test_a_recipe_that_makes_no_sense_is_refused(changes: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        recipe(**changes)
