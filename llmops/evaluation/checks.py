"""Checks of one answer: pure functions of the metric, the answer and the item's fields.

What needs another model (a judge) or log-probabilities (perplexity) is in judge.py and
perplexity.py. Answers are stripped of space at both ends first.
"""

import json
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from llmops.evaluation.fields import filled, texts
from llmops.spec.suite import Contains, Exact, Metric, Numeric

Fields = Mapping[str, Any]

_NUMBER = re.compile(
    r"(?<![\w.])[-+]?(?:(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d+)?"
)
_ARTICLES = re.compile(r"\b(?:a|an|the)\b", re.I)
_MARKDOWN = re.compile(
    r"^\s{0,3}(?:#{1,6}\s|>\s|[-*+]\s|\d+[.)]\s|```|~~~|\|.*\|\s*$)"
    r"|\*\*\S|__\S|`[^`\n]+`|!?\[[^\]\n]+\]\([^)\n]+\)",
    re.M,
)


@dataclass(frozen=True)
class Outcome:
    """An answer as far as checks look at it. finished: it was not cut off."""

    text: str
    finished: bool


def outcome(metric: Metric, answer: Outcome, fields: Fields) -> bool:
    """Whether all that the metric asks holds. Raises MissingField for a field that the item
    lacks, ValueError for a pattern or a number that is none; both whatever the answer is."""
    return all(list(_results(metric, Outcome(answer.text.strip(), answer.finished), fields)))


def _results(metric: Metric, answer: Outcome, fields: Fields) -> Iterator[bool]:
    """The result of each check that the metric has."""
    for name, check in CHECKS.items():
        given = getattr(metric, name)
        if given is not None and given is not False:
            yield check(given, answer, fields)


def _exact(given: Exact, answer: Outcome, fields: Fields) -> bool:
    said = _plain(answer.text, given)
    return any(said == _plain(one, given) for one in texts(given.text, fields))


def _plain(text: str, exact: Exact) -> str:
    """The text without what makes no difference."""
    text = unicodedata.normalize("NFC", text)
    if "accents" in exact.ignore:
        split = unicodedata.normalize("NFD", text)
        text = "".join(c for c in split if not unicodedata.combining(c))
    if "case" in exact.ignore:
        text = text.casefold()
    if "articles" in exact.ignore:
        text = _ARTICLES.sub(" ", text)
    if "punctuation" in exact.ignore:
        text = "".join(c for c in text if not unicodedata.category(c).startswith("P"))
    if {"space", "articles", "punctuation"} & set(exact.ignore):
        text = " ".join(text.split())
    return text.strip()


def _contains(given: Contains, answer: Outcome, fields: Fields) -> bool:
    if not _wanted_texts(given, fields):
        raise ValueError("`contains` has nothing to look for: the list is empty")
    return _holds(given, answer, fields)


def _not_contains(given: Contains, answer: Outcome, fields: Fields) -> bool:
    return not _wanted_texts(given, fields) or not _holds(given, answer, fields)


def _wanted_texts(rule: Contains, fields: Fields) -> list[str]:
    return texts(rule.any if rule.any is not None else rule.all or [], fields)


def _holds(rule: Contains, answer: Outcome, fields: Fields) -> bool:
    found = [_is_in(text, answer.text, rule) for text in _wanted_texts(rule, fields)]
    return any(found) if rule.any is not None else all(found)


def _is_in(text: str, answer: str, rule: Contains) -> bool:
    """As a whole: `oak` is not in `oaks`. `\\b` would not do for texts such as `C++`."""
    if not text.strip():
        raise ValueError("an empty text is in every answer")
    pattern = re.escape(text)
    if rule.words:
        pattern = rf"(?<!\w){pattern}(?!\w)"
    return re.search(pattern, answer, 0 if rule.case else re.I) is not None


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise ValueError(f"`{pattern}` is not a regular expression: {error}") from error


def _regex(given: str, answer: Outcome, fields: Fields) -> bool:
    return _compiled(filled(given, fields, pattern=True)).search(answer.text) is not None


def _not_regex(given: str, answer: Outcome, fields: Fields) -> bool:
    return not _regex(given, answer, fields)


def _numeric(rule: Numeric, answer: Outcome, fields: Fields) -> bool:
    wanted = _wanted(rule, fields)
    said = numbers(answer.text)
    if not said or (rule.take == "only" and len(said) > 1):
        return False
    meant = {"first": said[:1], "last": said[-1:], "only": said, "any": said}[rule.take]
    allowed = max(rule.tolerance, rule.relative * abs(wanted))
    return any(abs(number - wanted) <= allowed + 1e-12 * abs(wanted) for number in meant)


def _wanted(rule: Numeric, fields: Fields) -> float:
    text = filled(rule.value, fields) if isinstance(rule.value, str) else str(rule.value)
    try:
        return float(text.replace(",", ""))
    except ValueError:
        raise ValueError(f"`{text}` is not a number") from None


def numbers(text: str) -> list[float]:
    """The numbers in a text, in its order: `1,234.5`, `-3`, `2e4`, `.5`."""
    return [float(found.replace(",", "")) for found in _NUMBER.findall(text)]


def _json_schema(given: dict[str, Any], answer: Outcome, fields: Fields) -> bool:
    from jsonschema.validators import validator_for

    try:
        value = json.loads(answer.text)
    except ValueError:
        return False
    return bool(validator_for(given)(given).is_valid(value))


def _is_json(given: bool, answer: Outcome, fields: Fields) -> bool:
    try:
        json.loads(answer.text)
    except ValueError:
        return False
    return True


def _starts_with(given: Any, answer: Outcome, fields: Fields) -> bool:
    return answer.text.startswith(tuple(texts(given, fields)))


def _ends_with(given: Any, answer: Outcome, fields: Fields) -> bool:
    return answer.text.endswith(tuple(texts(given, fields)))


CHECKS: dict[str, Callable[[Any, Outcome, Fields], bool]] = {
    "exact": _exact,
    "contains": _contains,
    "not_contains": _not_contains,
    "regex": _regex,
    "not_regex": _not_regex,
    "numeric": _numeric,
    "json_schema": _json_schema,
    "is_json": _is_json,
    "max_words": lambda most, answer, _: len(answer.text.split()) <= most,
    "min_words": lambda least, answer, _: len(answer.text.split()) >= least,
    "max_chars": lambda most, answer, _: len(answer.text) <= most,
    "min_chars": lambda least, answer, _: len(answer.text) >= least,
    "max_lines": lambda most, answer, _: len(answer.text.splitlines()) <= most,
    "starts_with": _starts_with,
    "ends_with": _ends_with,
    "no_markdown": lambda _, answer, __: _MARKDOWN.search(answer.text) is None,
    "finished": lambda _, answer, __: answer.finished,
}
"""Every check by its key. A new one is a field of spec.suite.Metric and a line here."""
