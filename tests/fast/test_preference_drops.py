"""What is left out of the pairs, and that each drop has its count and its reason."""

import math
import random
from typing import Any

import pytest

from llmops.preferences.build import build
from tests.fast.logged import NOW
from tests.fast.said import Said, drops, recipe


@pytest.fixture
def said() -> Said:
    return Said()


def pair(said: Said, prompt: str = "p", good: str = "good", bad: str = "bad", **more: Any) -> str:
    return said.vote(said.ask(prompt, good, **more), said.ask(prompt, bad, **more), "first")


def test_an_empty_side(said: Said) -> None:
    for text in ("", " \n", None):
        pair(said, bad=text)  # type: ignore[arg-type]
    assert drops(said.build("votes")) == {"a side is empty": 3}


def test_sides_that_differ_in_white_space_only(said: Said) -> None:
    pair(said, good="the  elm\n", bad=" the elm")
    assert drops(said.build("votes")) == {"both sides are the same text": 1}


def test_an_answer_that_is_not_in_the_log(said: Said) -> None:
    said.vote(said.ask("p", "a"), "0" * 40 + "x", "first")
    said.thumb("nobody's", True)
    assert drops(said.build("votes", "thumbs")) == {"about an answer that is not in the log": 2}


def test_an_answer_that_ended_in_an_error(said: Said) -> None:
    said.vote(said.ask("p", "a"), said.ask("p", "b", error="went away"), "first")
    assert drops(said.build("votes")) == {"about an answer that ended in an error": 1}


def test_an_unfinished_answer_is_never_chosen_but_may_be_rejected(said: Said) -> None:
    cut, whole = said.ask("p", "a long", finish="length"), said.ask("p", "short")
    said.vote(cut, whole, "second")
    assert said.pairs("votes") == [("short", "a long")]
    other = said.ask("q", "x", finish="length")
    said.vote(other, said.ask("q", "y"), "first")
    assert drops(said.build("votes")) == {"the chosen answer is unfinished": 1}


def test_an_unfinished_answer_is_never_good_but_may_be_bad(said: Said) -> None:
    said.thumb(said.ask("p", "a long", finish="length"), True)
    said.thumb(said.ask("q", "a long", finish="length"), False)
    built = said.build("thumbs", layout="unpaired")
    assert built.rows["label"].to_list() == [False]
    assert drops(built) == {"good, but unfinished": 1}


def test_an_unfinished_winner_does_not_let_the_loser_win(said: Said) -> None:
    cut, whole = said.ask("p", "a long", finish="length"), said.ask("p", "short")
    for user in ("ann", "ben", "cid"):
        said.vote(cut, whole, "first", user)
    said.vote(cut, whole, "second", "dan")
    assert said.pairs("votes") == []


def test_a_plain_completion(said: Said) -> None:
    pair(said, endpoint="completions")
    assert drops(said.build("votes")) == {"about a plain completion, which is no chat": 1}


@pytest.mark.parametrize("of", ["answers", "events"])
def test_what_was_erased(said: Said, of: str) -> None:
    pair(said)
    log = said.log()
    import polars as pl

    erased = pl.lit(True).alias("erased")
    frames = (
        (log.inferences.with_columns(erased), log.events)
        if of == "answers"
        else (log.inferences, log.events.with_columns(erased))
    )
    built = build(type(log)(*frames, log.now), recipe("votes"))
    assert drops(built) == {"about an erased answer" if of == "answers" else "erased": 1}


@pytest.mark.parametrize(
    "prompt",
    [
        [{"role": "user", "content": [{"type": "text", "text": "a"}]}],
        [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}],
        [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}],
        [{"role": "developer", "content": "a"}, {"role": "user", "content": "b"}],
        [
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": "b", "tool_calls": [{"id": "1"}]},
            {"role": "user", "content": "c"},
        ],
        [{"role": "user", "content": "a"}, {"role": "tool", "content": "b"}],
        [{"role": "user", "content": None}],
        [{"content": "a"}],
        ["a", {"role": "user", "content": "b"}],
        None,
    ],
)
def test_a_prompt_that_cannot_be_trained_on(said: Said, prompt: Any) -> None:
    pair(said, "q")
    said.vote(said.ask(prompt, "a"), said.ask(prompt, "b"), "first")
    built = said.build("votes")
    assert said.pairs("votes") == [("good", "bad")]
    reason = "the prompt is no plain chat (tools, parts, or turns out of order)"
    assert drops(built) == {reason: 1}


def test_a_conversation_with_a_system_turn_is_a_prompt(said: Said) -> None:
    turns = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": 'a "content":[ b'},
        {"role": "assistant", "content": "né\n☃"},
        {"role": "user", "content": "c"},
    ]
    said.vote(said.ask(turns, "a"), said.ask(turns, "b"), "first")
    (row,) = said.build("votes").rows.to_dicts()
    assert row["prompt"] == turns


def test_feedback_of_kinds_that_no_builder_reads(said: Said) -> None:
    said.say("comment", said.ask("p", "a"), text="hm")
    assert drops(said.build("votes")) == {"no builder of this recipe reads it": 1}


def test_a_window(said: Said) -> None:
    pair(said)
    old = build(said.log(NOW + 3_600_000), recipe("votes", since="30m"))
    assert drops(old) == {"older than 30m": 1}
    assert build(said.log(NOW + 3_600_000), recipe("votes", since="2h")).rows.height == 1


@pytest.mark.parametrize("of", ["answers", "events"])
def test_simulated_feedback_counts_only_when_asked_for(said: Said, of: str) -> None:
    pair(said, source="simulated:town-users" if of == "answers" else None)
    if of == "events":
        said.events[0]["source"] = "simulated:town-users"
    real = said.build("votes")
    assert drops(real) == {"simulated, and `simulated` is off": 1}
    made = said.build("votes", simulated=True)
    assert made.report.simulated == 1
    assert made.rows["source"].to_list() == ["simulated"]


def test_a_later_word_of_the_same_rater_replaces_the_earlier(said: Said) -> None:
    first, second = said.ask("p", "a"), said.ask("p", "b")
    said.vote(first, second, "first", "ann")
    said.vote(second, first, "first", "ann")
    assert said.pairs("votes") == [("b", "a")]
    assert drops(said.build("votes")) == {"replaced by the same rater later on": 1}


def test_order_is_by_time_not_by_arrival(said: Said) -> None:
    first, second = said.ask("p", "a"), said.ask("p", "b")
    said.vote(first, second, "first", "ann")
    said.say("choice", first, "ann", other=second, choice="second", time=NOW - 5)
    assert said.pairs("votes") == [("a", "b")]


def test_a_rater_counts_at_most_so_often_the_newest_first(said: Said) -> None:
    for number in range(7):
        pair(said, f"prompt {number}")
    built = said.build("votes", per_rater=3)
    assert drops(built) == {"beyond 3 of one rater": 4}
    kept = {row["content"] for prompt in built.rows["prompt"] for row in prompt}
    assert kept == {"prompt 4", "prompt 5", "prompt 6"}
    assert said.build("votes", per_rater=None).rows.height == 7


def test_a_majority_decides_and_agreement_is_required(said: Said) -> None:
    first, second = said.ask("p", "a"), said.ask("p", "b")
    for user, choice in (("ann", "first"), ("ben", "first"), ("cid", "second")):
        said.vote(first, second, choice, user)
    (row,) = said.build("votes").rows.to_dicts()
    assert (row["chosen"], row["raters"], row["votes"]) == ("a", 3, 2)
    assert math.isclose(row["agreement"], 2 / 3)
    strict = said.build("votes", agreement=0.7)
    assert drops(strict) == {"contradictory: less than 70% of the raters agree": 1}


def test_votes_that_contradict_each_other_make_no_pair(said: Said) -> None:
    first, second = said.ask("p", "a"), said.ask("p", "b")
    said.vote(first, second, "first", "ann")
    said.vote(first, second, "second", "ben")
    assert drops(said.build("votes")) == {"contradictory: as many raters for either side": 1}


def test_the_same_opinion_on_the_same_texts_is_one_pair(said: Said) -> None:
    for user in ("ann", "ben", "cid"):
        said.vote(said.ask("p", "a"), said.ask("p", " b"), "first", user)
    (row,) = said.build("votes").rows.to_dicts()
    assert row["raters"] == 3
    assert len(row["inferences"]) == 6


def test_the_hold_out_is_told_by_the_prompt_alone(said: Said) -> None:
    for number in range(300):
        pair(said, f"prompt {number}")
    first = said.build("votes", holdout=0.2, per_rater=None).rows
    held = set(first.filter(split="holdout")["prompt_hash"])
    assert 30 <= len(held) <= 90
    for number in range(300, 400):
        pair(said, f"prompt {number}", good="another")
    later = said.build("votes", holdout=0.2, per_rater=None).rows
    assert set(later.filter(split="train")["prompt_hash"]).isdisjoint(held)
    more = said.build("votes", holdout=0.4, per_rater=None).rows
    assert held < set(more.filter(split="holdout")["prompt_hash"])


def test_length_bias_is_measured(said: Said) -> None:
    pair(said, "p", "aaaa", "bb")
    pair(said, "q", "a", "bb")
    length = said.build("votes").report.length
    assert (length.chosen_longer, length.ratio) == (0.5, 1.25)


@pytest.mark.parametrize("longer", [True, False])
def test_length_bias_is_limited_the_furthest_first(said: Said, longer: bool) -> None:
    for number in range(8):
        texts = ["a" * (10 + number), "b" * 5]
        good, bad = texts if longer else texts[::-1]
        pair(said, f"prompt {number}", good, bad)
    pair(said, "q", *(("b", "aa") if longer else ("aa", "b")))
    built = said.build("votes", length_bias=0.75)
    word = "longer" if longer else "shorter"
    assert drops(built) == {f"the {word} side is chosen in more than 75% of the pairs": 5}
    rows = built.rows.filter(built.rows["prompt_hash"].is_not_null())
    sizes = sorted(max(len(r["chosen"]), len(r["rejected"])) for r in rows.to_dicts())
    assert sizes == [2, 10, 11, 12]


def test_malicious_raters_in_bulk_do_not_turn_the_result() -> None:
    """One rater in twenty votes against the taste of the rest, twenty times as often."""
    said, chance = Said(), random.Random(1)
    prompts = [f"prompt {number}" for number in range(60)]
    answers = {p: (said.ask(p, f"short {p}"), said.ask(p, f"long {p}")) for p in prompts}
    for number in range(100):
        bad = number < 5
        for prompt in chance.choices(prompts, k=200 if bad else 10):
            said.vote(*answers[prompt], "second" if bad else "first", f"user {number}")
    built = said.build("votes", per_rater=15, agreement=0.6)
    wrong = [row for row in built.rows.to_dicts() if row["chosen"].startswith("long")]
    conflicting = built.rows.filter(built.rows["agreement"] < 1)
    assert conflicting.height > 10
    assert not wrong
    assert built.rows.height >= 58
    assert drops(built)["beyond 15 of one rater"] > 100


def test_malicious_raters_alone_on_a_prompt_stay_a_small_share() -> None:
    """Where nobody else rates, only the cap bounds them: to their share of the capped events."""
    said = Said()
    for number in range(100):
        bad, count = number < 5, 400 if number < 5 else 10
        for place in range(count):
            prompt = f"prompt {number} {place}"
            first, second = said.ask(prompt, "short"), said.ask(prompt, "long")
            said.vote(first, second, "second" if bad else "first", f"user {number}")
    rows = said.build("votes", per_rater=10).rows
    assert (rows["chosen"] == "long").mean() == 0.05
