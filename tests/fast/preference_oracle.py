"""The builders once more, in plain Python over dictionaries: slow, and written to be read.

Tests compare it with what Polars makes of random logs. It covers the five builders that ask no
model, with their defaults, and all that happens to their opinions up to the pairs.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, NamedTuple

from llmops.spec.preferences import PreferencesRecipe
from tests.fast.said import Said

Pairs = dict[tuple[str, str, str], tuple[float, int]]
"""(prompt, chosen, rejected) -> (agreement, raters)."""


class Opinion(NamedTuple):
    prompt: str
    chosen: str
    rejected: str
    rater: str


def text_of(answer: dict[str, Any]) -> str:
    return " ".join((answer["choices"][0]["text"] or "").split())


def prompt_of(answer: dict[str, Any]) -> str:
    return str(answer["messages"][0]["content"])


def expected(said: Said, recipe: PreferencesRecipe) -> Pairs:
    answers = {answer["id"]: answer for answer in said.answers}
    events = countable(said.events, answers, recipe)
    opinions = [*of_two(events, answers), *of_edits(events, answers)]
    opinions += of_singles(events, answers, "thumbs", recipe)
    opinions += of_singles(events, answers, "rating", recipe)
    return decided(opinions, answers, recipe)


def countable(
    events: list[dict[str, Any]], answers: dict[str, Any], recipe: PreferencesRecipe
) -> list[dict[str, Any]]:
    known = []
    for event in sorted(events, key=lambda e: (e["time"], e["id"])):
        about = [answers.get(event["inference"])]
        if event["other"]:
            about.append(answers.get(event["other"]))
        if event["kind"] == "comment" or any(a is None or a["error"] for a in about):
            continue
        known.append({**event, "rater": event["user"] or answers[event["inference"]]["user"]})
    newest: dict[Any, dict[str, Any]] = {}
    for event in known:
        key = (event["rater"], event["kind"], frozenset([event["inference"], event["other"]]))
        newest.pop(key, None)
        newest[key] = event
    kept: list[dict[str, Any]] = []
    count: dict[str, int] = defaultdict(int)
    for event in reversed(newest.values()):
        count[event["rater"]] += 1
        if recipe.per_rater is None or count[event["rater"]] <= recipe.per_rater:
            kept.append(event)
    return kept[::-1]


def of_two(events: Iterable[dict[str, Any]], answers: dict[str, Any]) -> list[Opinion]:
    found = []
    for event in events:
        if event["kind"] not in ("choice", "regenerate"):
            continue
        first, second = answers[event["inference"]], answers[event["other"]]
        if prompt_of(first) != prompt_of(second) or event["choice"] in ("tie", "both_bad"):
            continue
        if event["choice"] == "second":
            first, second = second, first
        found.append(Opinion(prompt_of(first), text_of(first), text_of(second), event["rater"]))
    return found


def of_edits(events: Iterable[dict[str, Any]], answers: dict[str, Any]) -> list[Opinion]:
    return [
        Opinion(
            prompt_of(answers[e["inference"]]),
            " ".join(e["text"].split()),
            text_of(answers[e["inference"]]),
            e["rater"],
        )
        for e in events
        if e["kind"] == "edit"
    ]


def of_singles(
    events: Iterable[dict[str, Any]],
    answers: dict[str, Any],
    kind: str,
    recipe: PreferencesRecipe,
) -> list[Opinion]:
    values: dict[str, dict[str, dict[str, float]]] = defaultdict(lambda: defaultdict(dict))
    first: dict[tuple[str, str], int] = {}
    judged = [e for e in events if e["kind"] == kind and text_of(answers[e["inference"]])]
    for event in judged:
        answer = answers[event["inference"]]
        values[prompt_of(answer)][text_of(answer)][event["rater"]] = event["value"]
    last = {
        (e["rater"], prompt_of(answers[e["inference"]]), text_of(answers[e["inference"]])): n
        for n, e in enumerate(judged)
    }
    for (_, prompt, text), place in last.items():
        first[prompt, text] = min(place, first.get((prompt, text), place))
    found = []
    for prompt, texts in values.items():
        matched = matched_thumbs if kind == "thumbs" else matched_ratings
        for good, bad, middle in matched(prompt, texts, first, recipe):
            for rater, value in texts[good].items():
                if value != middle:
                    sides = (good, bad) if value > middle else (bad, good)
                    found.append(Opinion(prompt, *sides, rater))
            for rater, value in texts[bad].items():
                if value != middle:
                    sides = (good, bad) if value < middle else (bad, good)
                    found.append(Opinion(prompt, *sides, rater))
    return found


def matched_thumbs(
    prompt: str,
    texts: dict[str, dict[str, float]],
    first: dict[tuple[str, str], int],
    recipe: PreferencesRecipe,
) -> list[tuple[str, str, float]]:
    net = {text: sum(2 * v - 1 for v in by.values()) for text, by in texts.items()}
    clearest = sorted(net, key=lambda text: (-abs(net[text]), first[prompt, text]))
    good, bad = [t for t in clearest if net[t] > 0], [t for t in clearest if net[t] < 0]
    if not good or not bad:
        return []
    assert recipe.builders.thumbs is not None
    turns = min(max(len(good), len(bad)), recipe.builders.thumbs.per_prompt)
    return [(good[n % len(good)], bad[n % len(bad)], 0.5) for n in range(turns)]


def matched_ratings(
    prompt: str,
    texts: dict[str, dict[str, float]],
    first: dict[tuple[str, str], int],
    recipe: PreferencesRecipe,
) -> list[tuple[str, str, float]]:
    options = recipe.builders.ratings
    assert options is not None
    mean = {text: sum(by.values()) / len(by) for text, by in texts.items()}
    order = sorted(mean, key=lambda text: (-mean[text], first[prompt, text]))
    found = []
    for n in range(min(len(order) // 2, options.per_prompt)):
        good, bad = order[n], order[-1 - n]
        if mean[good] - mean[bad] >= options.margin - 1e-9:
            found.append((good, bad, (mean[good] + mean[bad]) / 2))
    return found


def decided(
    opinions: Iterable[Opinion], answers: dict[str, Any], recipe: PreferencesRecipe
) -> Pairs:
    says: dict[tuple[str, frozenset[str]], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for one in opinions:
        if one.chosen and one.rejected and one.chosen != one.rejected:
            up = one.chosen < one.rejected
            sides = frozenset([one.chosen, one.rejected])
            says[one.prompt, sides][one.rater] += 1 if up else -1
    found: Pairs = {}
    for (prompt, sides), by in says.items():
        low, high = sorted(sides)
        low_wins = sum(say > 0 for say in by.values())
        high_wins = sum(say < 0 for say in by.values())
        raters = low_wins + high_wins
        if low_wins == high_wins or max(low_wins, high_wins) / raters < recipe.agreement - 1e-9:
            continue
        chosen, rejected = (low, high) if low_wins > high_wins else (high, low)
        found[prompt, chosen, rejected] = (round(max(low_wins, high_wins) / raters, 9), raters)
    return found
