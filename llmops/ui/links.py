"""Links to what has a page of its own, wherever its name stands."""

import re

from llmops.ui.markup import Html, joined, link, tag
from llmops.ui.panel import empty
from llmops.ui.table import href

_VERSION = re.compile(r"([a-z0-9][a-z0-9._-]*):v([1-9][0-9]{0,8})")


def split_version(text: str) -> tuple[str, str] | None:
    """(`town`, `3`) of `town:v3`; None for anything else."""
    found = _VERSION.fullmatch(text)
    return (found[1], found[2]) if found else None


def to_version(text: object, **attributes: object) -> Html:
    """`town:v3` leads to the Models tab; whatever is no version (a directory, a server's name for
    its model) is only text."""
    name = split_version(str(text or ""))
    if name is None:
        return tag("span", text or "", **attributes)
    at = {"tab": "models", "model": name[0], "version": name[1]}
    return link(text, href(at), **attributes)


def to_model(name: str) -> Html:
    return link(name, href({"tab": "models", "model": name}))


def to_experiment(name: str) -> Html:
    return link(name, href({"tab": "experiments", "experiment": name}))


def to_schedule(id: str) -> Html:
    """A schedule by its id, PIPELINE/TRIGGER."""
    return link(id, href({"tab": "schedules", "schedule": id}))


def to_run(run: object) -> Html:
    """A run by its id."""
    return link(run, href({"tab": "runs", "run": str(run)})) if run else joined()


def by(who: object) -> Html:
    """Who did something: a person, a schedule, or a run, which is a link (`run ID/STAGE`)."""
    text = str(who or "")
    kind, _, rest = text.partition(" ")
    if kind == "run" and rest:
        id, slash, stage = rest.partition("/")
        return joined("run ", to_run(id), f"{slash}{stage}")
    kind, _, rest = text.partition(":")
    if kind == "schedule" and rest:
        return joined("schedule ", to_schedule(rest))
    return joined(text)


def choice(text: str, to: str, chosen: bool) -> Html:
    """One of several ways to look at the same."""
    return link(
        text,
        to,
        class_="ll-choice" + (" ll-chosen" if chosen else ""),
        aria_current="true" if chosen else None,
    )


def not_there(tab: str, title: str, name: str) -> Html:
    """In place of the page of something that is not there (any more)."""
    back = link(f"See all there are in {title}", href({"tab": tab}))
    told = empty(f"There is no {name}.", back)
    return tag("div", crumbs(tab, title, (name, "")), told, class_="ll-stack")


def crumbs(tab: str, title: str, *steps: tuple[str, str]) -> Html:
    """The way back to a tab's first page. steps: names and where they lead (empty: nowhere)."""
    shown = [link(title, href({"tab": tab}))]
    shown += [
        link(text, to) if to else tag("span", text, aria_current="page") for text, to in steps
    ]
    slash = tag("span", "/", aria_hidden="true")
    parts = [joined(slash if i else None, one) for i, one in enumerate(shown)]
    return tag("nav", parts, class_="ll-crumbs", aria_label="where this is")
