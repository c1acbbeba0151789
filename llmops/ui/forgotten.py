"""What became of a user's data, after they were forgotten."""

from collections.abc import Mapping
from typing import Any

from llmops.ui.figure import number
from llmops.ui.links import to_version
from llmops.ui.markup import Html, joined, tag
from llmops.ui.panel import card, facts, warned


def forgotten(found: Mapping[str, Any]) -> Html:
    """found: what POST /feedback/forget answered."""
    if not found.get("known"):
        nothing = "Nothing in the log is of that user. Is it the name that the application sends?"
        return tag("div", warned(nothing), id="feedback-forgotten")
    counts = facts(
        [
            ("Answers erased now", number(found.get("inferences"))),
            ("Events erased now", number(found.get("events"))),
            ("Rows of this user in all", number(found.get("known"))),
            ("Tombstone", tag("span", found.get("tombstone"), class_="ll-mono")),
        ]
    )
    return tag(
        "div",
        card("The user is forgotten", counts, _snapshots(found), _left(found)),
        id="feedback-forgotten",
        role="status",
    )


def _snapshots(found: Mapping[str, Any]) -> Html | None:
    """Where pairs went, and the versions that had trained on them."""
    rows = [
        tag(
            "li",
            tag("strong", one["id"]),
            f": {one['rows']} pairs erased",
            joined("; trained on them before: ", _versions(one["versions"]))
            if one.get("versions")
            else None,
        )
        for one in found.get("snapshots") or []
    ]
    return tag("ul", rows, class_="ll-uses") if rows else None


def _left(found: Mapping[str, Any]) -> Html | None:
    """What could not be changed, and what is left to do."""
    rows: list[Html] = []
    if found.get("golden"):
        rows.append(joined("Golden prompts hold the user's texts: ", _versions(found["golden"])))
    for version, place in (found.get("remote") or {}).items():
        at = tag("span", place, class_="ll-mono")
        rows.append(joined(to_version(version), " is on the Hub, too: remove it there: ", at))
    for file, why in (found.get("segments") or {}).items():
        rows.append(joined(tag("span", file, class_="ll-mono"), f": {why}"))
    for file in found.get("files") or []:
        named = tag("span", file, class_="ll-mono")
        rows.append(joined(named, " names the user's answers; look through it by hand"))
    if found.get("purged") is False:
        rows.append(joined("The database's files still hold the texts: do it again later."))
    if not rows:
        return None
    return warned(tag("strong", "Left to look at"), tag("ul", [tag("li", row) for row in rows]))


def _versions(names: list[str]) -> list[Html]:
    return [joined(", " if number else "", to_version(name)) for number, name in enumerate(names)]
