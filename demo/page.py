"""One self-contained HTML page: no script, no file but itself, light or dark as the reader's system
is, readable from 390 pixels on. Every text is escaped here."""

from collections.abc import Sequence
from html import escape

_STYLE = """
:root { color-scheme: light dark; --ground: #ffffff; --ink: #1c2024; --quiet: #60646c;
  --line: #d9d9e0; --panel: #f6f7f9; --strong: #0b68cb; --series-1: #0b68cb; --series-2: #d9730d;
  --series-3: #1f8a5b; --series-4: #8e4ec6; --series-5: #b4860b; --series-6: #c2410c; }
@media (prefers-color-scheme: dark) { :root { --ground: #111315; --ink: #edeef0; --quiet: #a0a4ab;
  --line: #34373c; --panel: #1a1d20; --strong: #6cb1ff; --series-1: #6cb1ff; --series-2: #ffa057;
  --series-3: #5bc88f; --series-4: #c79ae8; --series-5: #e3c04a; --series-6: #ff8a65; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 60rem; background: var(--ground);
  color: var(--ink); font: 16px/1.5 system-ui, sans-serif; overflow-wrap: break-word; }
code { overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; line-height: 1.2; margin: .5rem 0; }
h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
p { margin: .5rem 0; }
.quiet { color: var(--quiet); }
.panels { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 20rem), 1fr));
  gap: 1rem; }
.panel { background: var(--panel); border: 1px solid var(--line); border-radius: .5rem;
  padding: .75rem; }
.panel h3 { margin: 0 0 .5rem; font-size: 1rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; vertical-align: top; padding: .35rem .6rem .35rem 0;
  border-bottom: 1px solid var(--line); }
th { font-weight: 600; color: var(--quiet); white-space: nowrap; }
svg { display: block; width: 100%; max-width: 36rem; height: auto; }
svg text { font: 12px system-ui, sans-serif; fill: var(--ink); }
svg .tick { fill: var(--quiet); font-size: 10px; }
svg .grid { stroke: var(--line); }
svg .interval { stroke: var(--strong); stroke-width: 4; stroke-linecap: round; opacity: .45; }
svg .dot { fill: var(--strong); }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: .25rem 1rem; padding: 0;
  margin: .5rem 0 0; font-size: .85rem; }
.swatch { display: inline-block; width: .75em; height: .75em; border-radius: 2px;
  margin-right: .35em; }
.chain { list-style: none; padding: 0; margin: 0; }
.chain > li { border-left: 3px solid var(--strong); padding: 0 0 1rem .9rem; position: relative; }
.chain > li::before { content: ""; position: absolute; left: -7px; top: .45rem; width: 11px;
  height: 11px; border-radius: 50%; background: var(--strong); }
.chain > li:last-child { border-left-color: transparent; padding-bottom: 0; }
.name { font-weight: 600; }
code { font: .85em ui-monospace, monospace; }
blockquote { margin: .25rem 0; padding-left: .75rem; border-left: 2px solid var(--line); }
@media (max-width: 36rem) { .cards thead { display: none; }
  .cards tr { display: block; padding: .5rem 0; border-bottom: 1px solid var(--line); }
  .cards td { display: grid; grid-template-columns: 9rem 1fr; gap: .5rem; border: 0;
    padding: .1rem 0; }
  .cards td::before { content: attr(data-name); color: var(--quiet); } }
"""


def page(title: str, sections: Sequence[str]) -> str:
    """The document. sections: HTML made by the functions below."""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n"
        f"<body>\n<h1>{escape(title)}</h1>\n" + "\n".join(sections) + "\n</body>\n</html>\n"
    )


def heading(text: str) -> str:
    return f"<h2>{escape(text)}</h2>"


def paragraph(text: str, *, quiet: bool = False) -> str:
    return f'<p class="quiet">{escape(text)}</p>' if quiet else f"<p>{escape(text)}</p>"


def table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """On a narrow screen each row becomes a card, with the headers beside its values."""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in headers)
    body = "".join(
        "<tr>"
        + "".join(
            f'<td data-name="{escape(name)}"><span>{escape(cell)}</span></td>'
            for name, cell in zip(headers, row, strict=True)
        )
        + "</tr>"
        for row in rows
    )
    return (
        f'<div class="wide"><table class="cards"><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def panels(items: Sequence[tuple[str, str]]) -> str:
    """Boxes beside each other. items: a title and the HTML in the box."""
    boxes = "".join(
        f'<section class="panel"><h3>{escape(title)}</h3>{inner}</section>'
        for title, inner in items
    )
    return f'<div class="panels">{boxes}</div>'


def chain(steps: Sequence[tuple[str, str, Sequence[str]]]) -> str:
    """A line of steps from top to bottom: each with a name, an identifier and quoted lines."""
    items = "".join(
        f'<li><span class="name">{escape(name)}</span> <code>{escape(key)}</code>'
        + "".join(f"<blockquote>{escape(line)}</blockquote>" for line in lines)
        + "</li>"
        for name, key, lines in steps
    )
    return f'<ol class="chain">{items}</ol>'
