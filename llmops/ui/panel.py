"""What stands where data would: nothing yet, loading, an error, a note on what was done."""

from collections.abc import Sequence

from llmops.ui.client import Problem
from llmops.ui.markup import Html, tag


def empty(title: str, *children: object) -> Html:
    """There is nothing here yet. children: what to do about it."""
    return tag(
        "div",
        tag("p", title, class_="ll-empty-title"),
        tag("p", *children) if children else None,
        class_="ll-empty",
    )


def loading(what: str) -> Html:
    """A place holder until the first answer is there. what: for those who hear the page."""
    bars = [tag("span", class_="ll-bar") for _ in range(3)]
    return tag("div", bars, class_="ll-loading", role="status", aria_label=f"loading {what}")


def trouble(problem: Problem) -> Html:
    """What went wrong, where, and what to do; heard at once by a screen reader."""
    return tag(
        "div",
        tag("strong", problem.what),
        tag("span", problem.where, class_="ll-where") if problem.where else None,
        tag("span", problem.fix, class_="ll-fix") if problem.fix else None,
        class_="ll-note ll-bad",
        role="alert",
    )


def said(*children: object) -> Html:
    """What was done."""
    return tag("div", *children, class_="ll-note ll-good", role="status")


def warned(*children: object) -> Html:
    """Something to know before going on."""
    return tag("div", *children, class_="ll-note ll-warn")


def card(title: object, *children: object, more: object = None, **attributes: object) -> Html:
    """A titled part of a page. more: beside the title, on the right."""
    head = tag("header", tag("h3", title), more, class_="ll-card-head")
    return tag("section", head, *children, class_="ll-card", **attributes)


def facts(pairs: Sequence[tuple[object, object]]) -> Html:
    """Names and values; those without a value are left out."""
    rows = [
        tag("div", tag("dt", name), tag("dd", value))
        for name, value in pairs
        if value is not None and value != ""
    ]
    return tag("dl", rows, class_="ll-facts")


def code(text: object, **attributes: object) -> Html:
    """Text as it is, in lines."""
    return tag("pre", tag("code", text), class_="ll-code", tabindex="0", **attributes)
