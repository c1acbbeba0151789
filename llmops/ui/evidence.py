"""What was measured of versions, and what of it a promotion would stand on."""

from collections.abc import Mapping, Sequence
from typing import Any

from llmops.ui.links import by, to_version
from llmops.ui.markup import Html, joined, tag
from llmops.ui.panel import empty
from llmops.ui.stamp import stamp
from llmops.ui.state import badge

Piece = Mapping[str, Any]


def verdict(piece: Piece) -> Html:
    """A word and a colour for it."""
    if piece["kind"] == "override":
        return badge("waiting", "override")
    return badge("passed") if piece["passed"] else badge("failed", "did not pass")


def outcome(pieces: Sequence[Piece]) -> Html:
    """The newest measurement of a version, in a cell."""
    measured = [one for one in pieces if one["kind"] != "override"]
    if not measured:
        return tag("span", "none yet", class_="ll-quiet")
    last = measured[-1]
    return tag("span", verdict(last), title=last["summary"])


def by_version(pieces: Sequence[Piece]) -> dict[str, list[Piece]]:
    """Oldest first, as they came."""
    found: dict[str, list[Piece]] = {}
    for piece in pieces:
        found.setdefault(str(piece["version"]), []).append(piece)
    return found


def told(pieces: Sequence[Piece], version: str) -> Html:
    """All of it, the newest first."""
    if not pieces:
        return empty(
            f"Nothing was measured of {version} yet.",
            "A stage of kind evaluate or an experiment measures it; only then may an alias "
            "move to it without an override.",
        )
    return tag("ol", [_piece(one) for one in reversed(pieces)], class_="ll-evidence")


def _piece(piece: Piece) -> Html:
    against = joined("against ", to_version(piece["against"])) if piece.get("against") else None
    who = joined("by ", by(piece["by"])) if piece.get("by") else None
    when = stamp(piece["time"])
    report = tag("span", piece["file"], class_="ll-mono") if piece.get("file") else None
    small = [part for part in (when, against, who, report) if part is not None]
    return tag(
        "li",
        tag("div", verdict(piece), tag("strong", piece["kind"]), class_="ll-row"),
        tag("p", piece["summary"]),
        lacks(piece.get("missing") or ()),
        tag("p", _dotted(small), class_="ll-quiet"),
    )


def lacks(missing: Sequence[str]) -> Html | None:
    """What is missing, one line each."""
    if not missing:
        return None
    return tag("ul", [tag("li", one) for one in missing], class_="ll-missing")


def _dotted(parts: Sequence[Html]) -> Html:
    return joined([joined(" · " if i else "", part) for i, part in enumerate(parts)])
