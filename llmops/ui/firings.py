"""What schedules did: each firing with its run, and each that was held back with its reason."""

from collections.abc import Mapping
from typing import Any

from llmops.ui.links import to_run, to_schedule
from llmops.ui.markup import Html, joined, tag
from llmops.ui.panel import empty
from llmops.ui.schedule import outcome
from llmops.ui.stamp import stamp
from llmops.ui.table import pager, table

LIMIT = 15


def firings(found: Mapping[str, Any], query: Mapping[str, str]) -> Html:
    """found: a page of the history; query: of the address bar."""
    rows = [
        (
            stamp(one["due"]),
            to_schedule(one["trigger"]),
            outcome(one),
            tag("span", one["reason"], class_="ll-why"),
            to_run(one["job"]) if one.get("job") else "",
        )
        for one in found["items"]
    ]
    nothing = empty("Nothing has fired yet.", "What fires, and what is held back, is kept here.")
    columns = ("Due", "Schedule", "Outcome", "Why", "Run")
    listed = table(columns, rows, caption="what schedules did, the newest first", nothing=nothing)
    return joined(listed, pager(query, found.get("next")))
