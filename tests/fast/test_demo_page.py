"""The demo's report is one page that stands alone, and shows what it was given as text."""

import re
from html.parser import HTMLParser

from demo.charts import Part, Rate, bars, rates
from demo.page import chain, heading, page, panels, paragraph, table

EVIL = "</style><script>alert('x')</script>&"


class Outline(HTMLParser):
    """The tags of a page, in order, and its text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def whole(text: str) -> str:
    return page(
        text,
        [
            heading(text),
            paragraph(text),
            table([text], [[text]]),
            panels([(text, rates(text, [(text, Rate(0.5, 0.4, 0.6))]))]),
            bars(text, [(text, [Part(text, 1.0, text)])]),
            chain([(text, text, [text])]),
        ],
    )


def test_whatever_it_shows_is_escaped() -> None:
    assert EVIL not in whole(EVIL)
    outline = Outline()
    outline.feed(whole(EVIL))
    assert "script" not in outline.tags
    assert outline.text.count(EVIL) >= 12


def test_it_loads_nothing() -> None:
    assert not re.search(r"""(src|href)=|url\(|@import|<link|<img|https?:""", whole("rounds"))


def test_it_fits_a_narrow_screen_and_follows_the_theme() -> None:
    text = whole("rounds")
    assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in text
    assert "@media (prefers-color-scheme: dark)" in text
    assert not re.search(r'width="[0-9]{3,}"(?! height="14")', text)


def test_an_interval_is_drawn_to_scale() -> None:
    drawn = rates("terse", [("round 1", Rate(0.5, 0.25, 1.0))])
    found = re.search(r'class="interval" x1="([0-9.]+)" x2="([0-9.]+)"', drawn)
    assert found is not None
    assert [float(x) for x in found.groups()] == [8 + 0.25 * 344, 8 + 344]


def test_bars_share_one_scale() -> None:
    drawn = bars("pairs", [("1", [Part("votes", 30, "30")]), ("2", [Part("votes", 60, "60")])])
    widths = [float(w) for w in re.findall(r'<rect [^>]*width="([0-9.]+)"', drawn)]
    assert widths == [172.0, 344.0]
