"""Tables whose pages are made by the server: a page is a link, so it can be kept and sent."""

from collections.abc import Mapping, Sequence
from typing import TypeVar
from urllib.parse import urlencode

from llmops.ui.markup import Html, joined, link, tag
from llmops.ui.panel import empty

T = TypeVar("T")


def table(
    columns: Sequence[object],
    rows: Sequence[Sequence[object]],
    *,
    caption: str,
    nothing: Html | None = None,
    titles: Sequence[str] = (),
    **attributes: object,
) -> Html:
    """A table. columns: titles, `""` for one of buttons; rows: cells, inert unless Html; caption:
    for those who hear it; nothing: in place of a table without rows; titles: of the columns as
    plain text, where they are more than that.

    On a narrow screen each row becomes a block with its titles beside the cells.
    """
    if not rows:
        return nothing or empty("Nothing here yet.")
    head = tag("thead", tag("tr", [tag("th", one, scope="col") for one in columns]))
    body = [
        tag(
            "tr",
            [
                tag("td", _one(cell), data_title=str((titles or columns)[i]))
                for i, cell in enumerate(row)
            ],
        )
        for row in rows
    ]
    shown = tag("caption", caption)
    return tag(
        "div",
        tag("table", shown, head, tag("tbody", body), class_="ll-table"),
        class_="ll-scroll",
        tabindex="0",
        role="region",
        aria_label=caption,
        **attributes,
    )


def _one(cell: object) -> object:
    """A cell's content as one element: beside its title, on a narrow screen, it stays together."""
    return cell if cell is None or cell == "" else tag("div", cell)


def pager(query: Mapping[str, str], following: str | None, *, key: str = "after") -> Html:
    """Links to the first page and to the one that follows. query: of the address bar; following:
    `next` of the answer; key: the query's key for the place in the list."""
    first = None
    if query.get(key):
        first = link("‹ First page", href({**query, key: None}), class_="ll-button ll-plain")
    more = None
    if following:
        more = link("Next page ›", href({**query, key: following}), class_="ll-button ll-plain")
    if first is None and more is None:
        return joined()
    return tag("nav", first, more, class_="ll-pager", aria_label="pages")


def page(
    query: Mapping[str, str], items: list[T], rows: int, *, key: str = "after"
) -> tuple[list[T], str | None]:
    """The part of a list that the address bar asks for, and what to ask for the part after it."""
    text = query.get(key, "")
    first = int(text) if text.isascii() and text.isdigit() and len(text) < 9 else 0
    more = str(first + rows) if first + rows < len(items) else None
    return items[first : first + rows], more


def href(query: Mapping[str, str | None]) -> str:
    """`?tab=...`: an address within the UI."""
    return "?" + urlencode({k: v for k, v in query.items() if v})
