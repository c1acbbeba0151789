"""The few icons of the UI, drawn by us: lines in the colour of the text around them."""

from llmops.ui.markup import Html, tag

_LINES = {
    "up": "M7 10v10H4V10zM7 10l4-7c1.700 0 2.500 1.100 2.200 2.700L12.500 9H18a2 2 0 0 1 2 "
    "2.400l-1.300 7A2 2 0 0 1 16.700 20H7",
    "down": "M17 14V4h3v10zM17 14l-4 7c-1.700 0-2.500-1.100-2.200-2.700l.700-3.300H6a2 2 0 0 1-2-"
    "2.400l1.300-7A2 2 0 0 1 7.300 4H17",
    "edit": "M4 20h4L19 9l-4-4L4 16zM13 7l4 4",
    "comment": "M4 5h16v11H10l-4 4v-4H4z",
    "again": "M20 12a8 8 0 1 1-2.300-5.700M20 3v5h-5",
}


def icon(name: str) -> Html:
    """By its name; nothing that a screen reader would say."""
    path = tag("path", d=_LINES[name])
    return tag(
        "svg",
        path,
        viewBox="0 0 24 24",
        width=16,
        height=16,
        fill="none",
        stroke="currentColor",
        stroke_width="1.7",
        stroke_linejoin="round",
        stroke_linecap="round",
        aria_hidden="true",
    )
