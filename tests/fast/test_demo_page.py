"""The demo's report is one page that stands alone, and shows what it was given as text."""

import re
from dataclasses import replace
from html.parser import HTMLParser

from demo.charts import Part, Rate, bars, rates
from demo.lineage import Step
from demo.page import chain, heading, page, panels, paragraph, table
from demo.report import html, rows
from demo.rounds import Round, Story

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


def story() -> Story:
    """Two rounds, the second interrupted on the way."""
    figures = {"terse": Rate(0.99, 0.95, 1.0), "correct": Rate(0.98, 0.94, 1.0)}
    first = Round(
        number=1,
        run="r1",
        version="town:v2",
        rates=figures,
        baseline={"terse": Rate(0.5, 0.4, 0.6), "correct": Rate(1.0, 0.97, 1.0)},
        against="town:v1",
        gate="gate: 2 of 2 met",
        pairs={"votes": 240, "edits": 80},
        snapshot="preferences:town@1",
        seconds={"pairs": 1.5, "training": 21.0, "swap, first answer": 2.5},
        experiment="better: thumbs",
        moved=True,
        visits=3000,
        ratings=2500,
        failed=0,
    )
    again = replace(first, number=2, version="town:v3", seconds={}, experiment="", moved=False)
    return Story([first, again], [Step("answer", "abc", ("asked: <b>",))], 4000, 0)


def test_the_table_starts_with_what_was_before() -> None:
    shown = rows(story())
    assert [row[1] for row in shown] == ["town:v1", "town:v2", "town:v3"]
    assert shown[0][2].startswith("50.0%")
    assert shown[1][4:] == ["320", "25 s", "better, in production"]
    assert shown[2][5:] == ["interrupted", "none, not moved"]


def test_the_report_tells_what_is_not_training() -> None:
    assert "<span>4.0 s</span>" in html(story())
    assert "asked: &lt;b&gt;" in html(story())


def test_a_report_of_nothing_is_a_page_too() -> None:
    assert "No answer of the last version" in html(Story([], [], 0, 0))
