"""What a simulated user thinks of an answer, and what they say of it."""

import re
from typing import Literal

from llmops.simulation.population import Visit
from llmops.simulation.prompts import Prompt
from llmops.spec.simulation import Taste

Choice = Literal["first", "second", "tie", "both_bad"]


def merit(text: str, prompt: Prompt, taste: Taste) -> tuple[bool, bool]:
    """Whether the answer is right, and whether it is short enough. What the taste leaves out, or
    the user does not know, is well."""
    right = not taste.correct or prompt.answer is None or _names(text, prompt.answer)
    short = taste.max_words is None or len(text.split()) <= taste.max_words
    return right, short


def likes(text: str, visit: Visit, taste: Taste) -> bool:
    """What the user says of one answer: careless users anything, malicious ones the contrary."""
    if visit.careless:
        return visit.coin < 0.5
    return (merit(text, visit.prompt, taste) == (True, True)) != visit.person.malicious


def prefers(first: str, second: str, visit: Visit, taste: Taste) -> Choice:
    """What the user says of two answers: the right one is better, then the short one. A malicious
    user who sees no difference makes one up."""
    if visit.careless:
        return "first" if visit.coin < 0.5 else "second"
    one, two = merit(first, visit.prompt, taste), merit(second, visit.prompt, taste)
    if visit.person.malicious:
        return "first" if one < two or (one == two and visit.coin < 0.5) else "second"
    if one == two:
        return "tie" if one[0] else "both_bad"
    return "first" if one > two else "second"


def _names(text: str, answer: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(answer)}(?!\w)", text, re.IGNORECASE) is not None
