"""What a model or a person wrote, shown as it is: that is what is rated and what is trained on.

No Markdown: so nothing in it can be a link, an image, a heading or a formula. Only blocks between
lines of ``` are set as code. Characters that are invisible, or that turn text around, are shown by
their number, since what a rater cannot see should not be rated as if it were not there.
"""

import re
from collections.abc import Iterator

from llmops.ui.markup import Html, joined, tag

_HIDDEN = re.compile(
    "["
    "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"  # controls, but tab, line feed and carriage return
    "\u00ad\u061c\u180e\u200b\u200e\u200f\u2028\u2029\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff"
    "\U000e0000-\U000e007f"
    "]"
)
"""Zero-width joiners are not among them: scripts and emoji need them."""
_FENCE = re.compile(r" {0,3}```[^`\n]*$")


def words(text: object, **attributes: object) -> Html:
    """The whole text, in its lines."""
    parts = [
        tag("pre", tag("code", visible(part)), class_="ll-code ll-wrap", tabindex="0")
        if code
        else tag("p", visible(part))
        for code, part in _parts(str(text))
    ]
    return tag("div", parts, **{"class_": "ll-words", "dir": "auto", **attributes})


def snippet(text: object, most: int = 140) -> Html:
    """Its beginning, in one line; what is left out is said by an ellipsis."""
    line = " ".join(str(text).split())
    short = line if len(line) <= most else line[: most - 1].rstrip() + "…"
    return tag("bdi", visible(short), class_="ll-snippet")


def visible(text: str) -> Html:
    """The text with its hidden characters marked."""
    pieces: list[object] = []
    end = 0
    for found in _HIDDEN.finditer(text):
        pieces.append(text[end : found.start()])
        name = f"U+{ord(found[0]):04X}"
        pieces.append(tag("span", name, class_="ll-hidden-character", title="a hidden character"))
        end = found.end()
    return joined(*pieces, text[end:])


def _parts(text: str) -> Iterator[tuple[bool, str]]:
    """(whether it is code, lines), in order; a block that is not closed goes to the end."""
    lines: list[str] = []
    code = False
    for line in text.replace("\r\n", "\n").split("\n"):
        if _FENCE.match(line) and (not code or line.strip() == "```"):
            if "\n".join(lines).strip("\n"):
                yield code, "\n".join(lines).strip("\n")
            lines, code = [], not code
        else:
            lines.append(line)
    rest = "\n".join(lines)
    if rest.strip("\n"):
        yield code, rest if code else rest.strip("\n")
