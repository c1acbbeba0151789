"""One answer in full: what was asked, what was said of it, and what it was used in."""

from collections.abc import Mapping, Sequence
from typing import Any

from llmops.ui.feedback_log import what
from llmops.ui.figure import span
from llmops.ui.links import to_version
from llmops.ui.markup import Html, joined, link, tag
from llmops.ui.panel import card, empty, facts
from llmops.ui.stamp import stamp
from llmops.ui.table import href, table
from llmops.ui.words import words


def answer_page(found: Mapping[str, Any]) -> Html:
    """found: GET /feedback/{id}."""
    back = link("‹ All feedback", "?tab=feedback", class_="ll-quiet")
    about = found.get("inference")
    talk = _talk(about) if about else empty("The answer itself is not in the log (any more).")
    events = found.get("events") or []
    return tag(
        "div",
        tag("div", back, tag("h2", "One answer", class_="ll-title")),
        tag(
            "div", talk, tag("div", _facts(found), _uses(found), class_="ll-stack"), class_="ll-two"
        ),
        card("What was said of it", _events(events, str(found["id"]))),
        class_="ll-stack",
        id="feedback-answer",
    )


def _talk(one: Mapping[str, Any]) -> Html:
    if one.get("redacted"):
        return card("The conversation", empty("Its texts are erased.", stamp(one["redacted"])))
    turns = [_said(turn) for turn in one.get("messages") or [] if isinstance(turn, Mapping)]
    choices = [c for c in one.get("choices") or [] if isinstance(c, Mapping)]
    answers = [_turn("answer", words(choice.get("text") or "")) for choice in choices]
    if not answers:
        answers = [_turn("answer", words(one["response"]))] if one.get("response") else []
    error = tag("p", one["error"], class_="ll-note ll-bad") if one.get("error") else None
    return card("The conversation", tag("div", turns, answers, error, class_="ll-stack"))


def _said(turn: Mapping[str, Any]) -> Html:
    """A message; contents in parts (text, images) are shown as their text."""
    content = turn.get("content")
    if isinstance(content, list):
        parts = [part for part in content if isinstance(part, Mapping)]
        content = "\n".join(str(part.get("text") or f"[{part.get('type')}]") for part in parts)
    return _turn(str(turn.get("role") or "?"), words(content or ""))


def _turn(who: str, said: Html) -> Html:
    kind = {"user": " ll-asked", "answer": " ll-given"}.get(who, "")
    return tag("div", tag("span", who, class_="ll-quiet"), said, class_=f"ll-message{kind}")


def _facts(found: Mapping[str, Any]) -> Html | None:
    one = found.get("inference")
    if not one:
        return None
    tokens = [str(one[key]) for key in ("prompt_tokens", "completion_tokens") if one.get(key)]
    pairs: list[tuple[object, object]] = [
        ("Version", to_version(one["version"])),
        ("Variant", one["variant"]),
        ("Deployment", one["deployment"]),
        ("When", stamp(one["time"])),
        ("User", _short(one.get("user"))),
        ("Session", _short(one.get("session"))),
        ("Assigned by", str(one.get("unit") or "").partition(":")[0] or "nothing"),
        ("First token", _seconds(one.get("first_token_ms"))),
        ("Whole answer", _seconds(one.get("total_ms"))),
        ("Tokens in, out", ", ".join(tokens)),
        ("Ended by", one.get("finish")),
        ("Source", one.get("source") or "real"),
        ("Routing table", one.get("generation")),
        ("Compared with", [_other(id) for id in found.get("group") or []]),
        ("Id", tag("span", found["id"], class_="ll-mono")),
    ]
    return card("About it", facts([(name, value) for name, value in pairs if value != []]))


def _other(id: object) -> Html:
    return link("the other answer", href({"tab": "feedback", "id": str(id)}))


def _short(hashed: object) -> Html | None:
    """Users and sessions are hashes; twelve digits tell them apart."""
    text = str(hashed or "")
    return tag("span", text[:12], class_="ll-mono", title=text) if text else None


def _seconds(milliseconds: float | None) -> str:
    return span(milliseconds / 1000) if milliseconds else ""


def _uses(found: Mapping[str, Any]) -> Html:
    """The pairs that came of it, and the versions that were trained on them."""
    used = found.get("snapshots") or []
    if not used:
        nothing = "In no snapshot of preference pairs, so no version was trained on it."
        return card("Used in", tag("p", nothing, class_="ll-quiet"))
    rows = [
        tag(
            "li",
            tag("strong", one["snapshot"]),
            f": {one['rows']} pair{'s' if one['rows'] != 1 else ''}",
            _trained(one.get("versions") or []),
        )
        for one in used
    ]
    return card("Used in", tag("ul", rows, class_="ll-uses"))


def _trained(versions: Sequence[str]) -> Html:
    if not versions:
        return joined(", on which no version was trained yet")
    links = [joined(", " if number else "", to_version(v)) for number, v in enumerate(versions)]
    return joined(", on which ", links, " was trained" if len(versions) == 1 else " were trained")


def _events(events: Sequence[Mapping[str, Any]], id: str) -> Html:
    return table(
        ("When", "Kind", "What", "Beside", "Received"),
        [_event(one, id) for one in events],
        caption="events about this answer",
        nothing=empty("Nobody said anything of it."),
        id="feedback-events",
    )


def _event(one: Mapping[str, Any], id: str) -> list[object]:
    """In full: an edit or a comment with all its lines."""
    long = one["kind"] in ("edit", "comment") and not one.get("redacted")
    beside = one["other"] if one["inference"] == id else one["inference"]
    return [
        stamp(one["time"]),
        one["kind"],
        words(one.get("text") or "") if long else _result(one, id),
        _other(beside) if one.get("other") else "",
        stamp(one["received"]),
    ]


def _result(one: Mapping[str, Any], id: str) -> Html:
    """Of a choice: what it meant for this answer."""
    if one["kind"] == "choice" and one.get("choice") in ("first", "second"):
        won = (one["choice"] == "first") == (one["inference"] == id)
        return joined("this answer was better" if won else "the other answer was better")
    if one["kind"] == "regenerate" and one.get("other") == id:
        return joined("asked again: the other answer took its place")
    return what(one)
