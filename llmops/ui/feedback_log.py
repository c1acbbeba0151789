"""The log as a page: figures by version, filters, and rows that are paged by control.

A filter is a link, so what is looked at can be kept and sent.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from llmops.ui.button import act
from llmops.ui.figure import number
from llmops.ui.links import choice, to_version
from llmops.ui.markup import Html, joined, link, tag
from llmops.ui.panel import card, empty
from llmops.ui.stamp import stamp
from llmops.ui.table import href, pager, table
from llmops.ui.words import snippet

LIMIT = 25
VIEWS = {"": "/feedback", "answers": "/feedback/answers"}
KINDS = ("thumbs", "choice", "edit", "comment", "rating", "regenerate", "engagement", "metric")
TIMES = {"": "all time", "24h": "24 hours", "7d": "7 days", "30d": "30 days"}
_FILTERS = ("since", "deployment", "variant", "kind")
_CHOICES = {
    "first": "the first was better",
    "second": "the second was better",
    "tie": "a tie",
    "both_bad": "both bad",
}


def asked_for(query: Mapping[str, str]) -> dict[str, str | None]:
    """The filters of an address."""
    return {key: query.get(key) for key in _FILTERS}


def summary(stats: Sequence[Mapping[str, Any]], query: Mapping[str, str], export: str) -> Html:
    """What was answered and how it was liked, by variant and version; export: a link."""
    buttons = tag(
        "div",
        tag("a", "Export as JSON lines", href=export, download="feedback.jsonl", class_=_PLAIN),
        act(
            "Forget a user…",
            "feedback_forget",
            confirm="All that this user wrote and was answered is erased: from the log, and from "
            "snapshots of preferences. Versions that trained on it stay as they are, and are told. "
            "This cannot be undone.",
            why="The user, as your application names them",
            kind="danger",
        ),
        class_="ll-row",
    )
    shown = table(
        ("Variant", "Version", "Answers", "Users", "Thumbs up", "Rating", "Won : lost", "Edits"),
        [_figures(one) for one in stats],
        caption="answers and feedback by version",
        nothing=empty("No answers yet.", "Chat, or point an application at the gateway."),
        id="feedback-stats",
    )
    title = "What people said"
    if query.get("since") in TIMES and query.get("since"):
        title = f"What people said in {TIMES[query['since']]}"
    return tag("div", card(title, shown, more=buttons))


def _figures(one: Mapping[str, Any]) -> list[object]:
    said = one.get("feedback") or {}
    choice = said.get("choice") or {}
    return [
        joined(one.get("variant") or "–", _source(one)),
        to_version(one["version"]) if one.get("version") else "not in the log",
        _answers(one),
        number(one.get("users")),
        _share(said.get("thumbs")),
        _stars(said.get("rating")),
        f"{choice['won']:.0f} : {choice['lost']:.0f}" if choice else "",
        number((said.get("edit") or {}).get("count")),
    ]


def _source(one: Mapping[str, Any]) -> Html | None:
    """That nobody real said it; its full name is in the tag's title."""
    source = one.get("source")
    if not source:
        return None
    kind = str(source).partition(":")[0]
    return joined(" ", tag("span", kind, class_="ll-tag", title=source))


def _answers(one: Mapping[str, Any]) -> Html:
    errors = one.get("errors")
    failed = tag("span", f" {errors} failed", class_="ll-quiet") if errors else None
    return joined(number(one.get("answers")), failed)


def _share(thumbs: Mapping[str, Any] | None) -> Html | None:
    """A share with a bar, and of how many."""
    if not thumbs or thumbs.get("mean") is None:
        return None
    percent = round(100 * thumbs["mean"])
    bar = tag("span", tag("span", style=f"width:{percent}%"), class_="ll-share", aria_hidden="true")
    count = tag("span", f" of {number(thumbs['count'])}", class_="ll-quiet")
    return tag("span", bar, f"{percent}%", count, class_="ll-shared")


def _stars(rating: Mapping[str, Any] | None) -> str:
    """Ratings are kept as 0 to 1, on whatever scale they were given."""
    if not rating or rating.get("mean") is None:
        return ""
    return f"{round(100 * rating['mean'])}%"


def log_page(
    found: Mapping[str, Any], stats: Sequence[Mapping[str, Any]], query: Mapping[str, str]
) -> Html:
    """One page of the log; found: as control answered; stats: what there is to filter by."""
    answers = query.get("view") == "answers"
    rows = [_answer(one) if answers else _event(one) for one in found.get("items") or []]
    columns = ("When", "Answer", "By") if answers else ("When", "Feedback", "What", "About")
    filtered = any(query.get(key) for key in _FILTERS) or query.get("after")
    all_ = link("Show all", href({"tab": "feedback", "view": query.get("view")}))
    nothing = empty("Nothing matches.", all_) if filtered else empty("Nothing was said yet.")
    what = "answers" if answers else "events"
    return tag(
        "div",
        _filters(stats, query),
        table(columns, rows, caption=what, nothing=nothing, id="feedback-table"),
        pager(query, found.get("next")),
        class_="ll-stack",
    )


def _filters(stats: Sequence[Mapping[str, Any]], query: Mapping[str, str]) -> Html:
    views = {"": "Events", "answers": "Answers"}
    deployments = sorted({str(one["deployment"]) for one in stats if one.get("deployment")})
    variants = sorted({str(one["variant"]) for one in stats if one.get("variant")})
    return tag(
        "div",
        _row("Show", "view", views, query),
        _row("Time", "since", TIMES, query),
        _row("Deployment", "deployment", _all(deployments), query),
        _row("Variant", "variant", _all(variants), query) if len(variants) > 1 else None,
        _row("Kind", "kind", _all(KINDS), query),
        class_="ll-filters",
        id="feedback-filters",
    )


def _all(names: Sequence[str]) -> dict[str, str]:
    return {"": "all", **{name: name for name in names}}


def _row(title: str, key: str, values: Mapping[str, str], query: Mapping[str, str]) -> Html:
    """Links to the same list with another value of one filter, from its first page on."""
    rest = {name: value for name, value in query.items() if name != "after"}
    chosen = query.get(key, "")
    links = [
        choice(shown, href({**rest, key: value}), value == chosen)
        for value, shown in values.items()
    ]
    label = tag("span", title, class_="ll-quiet")
    return tag("nav", label, tag("span", links, class_="ll-choices"), aria_label=title)


def _event(one: Mapping[str, Any]) -> list[object]:
    about = [one.get("variant"), " ", to_version(one["version"])] if one.get("version") else None
    return [
        stamp(one["time"]),
        one["kind"],
        _open(one["inference"], what(one)),
        joined(about, _source(one)),
    ]


def _answer(one: Mapping[str, Any]) -> list[object]:
    said: object = snippet(one["response"]) if one.get("response") else "an empty answer"
    if one.get("redacted"):
        said = "erased"
    elif one.get("status", 200) != 200:
        said = f"failed ({one['status']})"
    return [
        stamp(one["time"]),
        _open(one["id"], said),
        joined(one["variant"], " ", to_version(one["version"])),
    ]


def _open(id: str, shown: object) -> Html:
    """The way to the answer. What others wrote is in the link's text, never in its address."""
    return link(shown, href({"tab": "feedback", "id": id}), class_="ll-open")


def what(event: Mapping[str, Any]) -> Html:
    """What an event says, in a few words."""
    if event.get("redacted"):
        return joined("erased")
    kind, value = event["kind"], event.get("value")
    if kind == "thumbs":
        return joined("thumbs up" if value else "thumbs down")
    if kind == "choice":
        return joined(_CHOICES.get(event.get("choice") or "", "?"))
    if kind == "regenerate":
        return joined("asked again")
    if kind == "rating":
        detail = event.get("detail") or {}
        scale = detail.get("scale") or [0, 1]
        return joined(f"{number(detail.get('value', value))} of {number(scale[-1])}")
    if kind in ("metric", "engagement"):
        return joined(event.get("name") or "", " ", number(value))
    return snippet(event.get("text") or "")


_PLAIN = "ll-button ll-plain"
