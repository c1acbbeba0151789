"""HTML, made of elements: whatever is not Html already is inert text.

So a page is safe by construction: whatever a model answered, a user rated or a declaration says is
shown as it is, and does nothing. Nothing else in the UI writes angle brackets around values.
"""

from collections.abc import Iterable
from html import escape

_VOID = {"br", "hr", "img", "input", "path", "line", "circle", "rect", "polyline"}


class Html(str):
    """Text that is HTML, made by this module."""

    __slots__ = ()


Child = object
"""Html, or anything else: text by str(), inert; None is nothing, a list its items."""


def tag(name: str, /, *children: Child, **attributes: object) -> Html:
    """An element. attributes: `_` reads as `-`, a leading or trailing one is dropped (`class_`);
    None and False leave one out, True gives it without a value."""
    shown = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in _VOID and not children:
        return Html(f"<{name}{shown}/>")
    return Html(f"<{name}{shown}>{joined(*children)}</{name}>")


def joined(*children: Child) -> Html:
    """Children one after another, without an element around them."""
    return Html("".join(_child(one) for one in children))


def link(text: Child, href: str, **attributes: object) -> Html:
    """A link within the UI (`?tab=...`), within the page (`#ID`) or to an http(s) address; anything
    else is only text."""
    if href.startswith(("?", "#", "http://", "https://")):
        outside = {} if href[0] in "?#" else {"target": "_blank", "rel": "noopener noreferrer"}
        return tag("a", text, href=href, **outside, **attributes)
    return tag("span", text, **attributes)


def _child(child: Child) -> str:
    if child is None:
        return ""
    if isinstance(child, Html):
        return child
    if not isinstance(child, str) and isinstance(child, Iterable):
        return "".join(_child(one) for one in child)
    return escape(str(child))


def _attribute(key: str, value: object) -> str:
    name = key.strip("_").replace("_", "-")
    if value is None or value is False:
        return ""
    return f" {name}" if value is True else f' {name}="{escape(str(value))}"'
