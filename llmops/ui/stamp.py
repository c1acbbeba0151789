"""A moment in a page: how long ago, and exactly when to whoever points at it."""

from llmops.ui.figure import ago, moment
from llmops.ui.markup import Html, tag


def stamp(time: str | float | int | None) -> Html | None:
    """time: ISO 8601, or milliseconds since 1970."""
    found = moment(time)
    if found is None:
        return None
    exact = f"{found:%a} {found.day} {found:%b %Y, %H:%M:%S} UTC"
    when = found.isoformat(timespec="seconds")
    return tag("time", ago(time), datetime=when, title=exact, class_="ll-stamp")
