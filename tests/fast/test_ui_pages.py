"""What pages are made of: inert text, curves, graphs, tables, figures."""

from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any

import pytest

from llmops.ui.button import act
from llmops.ui.client import Problem
from llmops.ui.curve import Line, curve, thinned, ticks
from llmops.ui.figure import ago, number, size, span
from llmops.ui.home import shown
from llmops.ui.markup import Html, joined, link, tag
from llmops.ui.panel import trouble
from llmops.ui.plan_page import plan_page
from llmops.ui.run_list import run_list
from llmops.ui.run_page import figures, head, log_tail, the_stage
from llmops.ui.stage_graph import columns, stage_graph
from llmops.ui.table import href, pager, table

EVIL = "\"'><img src=x onerror=alert(1)><script>alert(2)</script>${1+1}{{x}}"
RUN: dict[str, Any] = {
    "id": "20261120-120000-town", "state": "running", "target": EVIL, "by": EVIL,
    "started": "2026-11-20T12:00:00+00:00", "seconds": 61.0, "overrides": [EVIL],
    "stages": [
        {"name": "sft", "kind": "train", "state": "done", "attempt": 1, "output": "town:v1"},
        {"name": "dpo", "kind": "train", "state": "running", "attempt": 1, "error": EVIL},
    ],
    "graph": {
        "nodes": [
            {"name": "sft", "kind": "train", "state": "done", "seconds": 3.0},
            {"name": "dpo", "kind": EVIL, "state": "running", "seconds": None},
        ],
        "edges": [["sft", "dpo"]],
    },
    "stoppable": True, "resumable": False, "tensorboard": "javascript:alert(1)",
}  # fmt: skip


class Elements(HTMLParser):
    """The elements of a page and their attributes, as a browser would see them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.attributes: dict[str, set[str]] = {}
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        for name, value in attrs:
            self.attributes.setdefault(name, set()).add(value or "")


@pytest.mark.parametrize(
    "page",
    [
        tag("p", EVIL, title=EVIL),
        link(EVIL, f"?tab={EVIL}"),
        act(EVIL, "x", EVIL, confirm=EVIL, why=EVIL),
        trouble(Problem(EVIL, where=EVIL, fix=EVIL)),
        head(RUN, RUN["stages"][1]),
        run_list({"items": [RUN], "next": EVIL}, {"tab": "runs", "pick": EVIL}),
        log_tail(EVIL, EVIL),
        stage_graph(EVIL, RUN["graph"], "dpo"),
        curve(EVIL, [Line(EVIL, [(1, 2), (2, 3)]), Line(EVIL, [(1, 2)])]),
        plan_page({"target": EVIL, "stages": [{"stage": EVIL, "reasons": [EVIL]}]}, [EVIL], EVIL),
        shown({"project": EVIL, "problems": [EVIL], "runs": {"active": [RUN]}}),
    ],
    ids=range(11),
)
def test_what_others_wrote_is_only_text(page: str) -> None:
    found = Elements(page)
    assert not found.names & {"img", "script", "iframe", "object", "style"}
    assert not [name for name in found.attributes if name.startswith("on") or name == "src"]
    assert all(one.startswith("?") for one in found.attributes.get("href", ()))


@pytest.mark.parametrize("address", ["javascript:alert(1)", "data:text/html,x", "//evil", "/x"])
def test_a_link_leads_nowhere_but_to_pages_and_the_web(address: str) -> None:
    assert "<a" not in link("x", address)


def test_a_link_out_gives_nothing_away() -> None:
    assert 'rel="noopener noreferrer"' in link("x", "https://example.com")


def test_html_is_not_escaped_twice_and_none_is_nothing() -> None:
    assert joined(tag("b", "&"), None, ["<", Html("<i></i>")]) == "<b>&amp;</b>&lt;<i></i>"
    assert tag("input", disabled=True, checked=False, value=None) == "<input disabled/>"


def test_a_thinned_line_keeps_its_ends_and_its_spikes() -> None:
    points = [(float(x), 100.0 if x == 5003 else 1.0) for x in range(10_000)]
    kept = thinned(points)
    assert len(kept) <= 242
    assert (kept[0], kept[-1]) == (points[0], points[-1])
    assert (5003.0, 100.0) in kept


def test_what_is_no_number_is_left_out() -> None:
    assert thinned([(1.0, float("nan")), (2.0, float("inf")), (3.0, 1.0)]) == [(3.0, 1.0)]
    assert "no figures yet" in curve("loss", [Line("loss", [])])


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (5.1, 5.1), (0, 0), (-3, 1e6), (1e-9, 2e-9)])
def test_ticks_are_round_and_cover_the_values(low: float, high: float) -> None:
    marks = ticks(low, high)
    assert marks[0] <= low
    assert high <= marks[-1]
    assert 2 <= len(marks) <= 7


def test_a_curve_is_told_in_words() -> None:
    assert 'aria-label="Loss: 5 at step 1, 2 at step 9"' in curve(
        "Loss", [Line("", [(1, 5), (9, 2)])]
    )


def test_figures_are_drawn_where_the_engine_reports_them() -> None:
    items = [{"step": 1, "loss": 2.0, "accuracy": 0.5, "elapsed_s": 1.0}]
    page = figures(items, 10)
    assert "Preference accuracy" in page
    assert "Evaluation loss" not in page
    assert "step 1 of 10, about 9.0 s left" in page


def test_stages_stand_behind_those_that_they_need() -> None:
    edges = [["a", "b"], ["a", "c"], ["b", "d"], ["c", "d"], ["d", "a"]]
    assert columns("abcd", edges[:4]) == {"a": 0, "b": 1, "c": 1, "d": 2}
    assert set(columns("abcd", edges)) == set("abcd")


def test_the_page_opens_at_the_stage_to_look_at() -> None:
    assert the_stage(RUN, "")["name"] == "dpo"  # type: ignore[index]
    assert the_stage(RUN, "sft")["name"] == "sft"  # type: ignore[index]
    assert the_stage({"stages": []}, "") is None


def test_only_a_stage_that_asks_has_buttons_to_decide() -> None:
    stage = {"name": "offer", "state": "waiting", "error": "waits for evidence"}
    for asks in (False, True):
        page = head({**RUN, "stages": [{**stage, "approval": asks}]}, stage)
        assert ("approve_runs" in page) == asks


def test_pages_of_a_list_are_links() -> None:
    assert pager({"tab": "runs", "state": "done"}, None) == ""
    assert "?tab=runs&amp;state=done&amp;after=x%2By" in pager(
        {"tab": "runs", "state": "done"}, "x+y"
    )
    assert "First page" in pager({"tab": "runs", "after": "x"}, None)
    assert href({"tab": "runs", "run": None}) == "?tab=runs"


def test_a_table_says_what_it_is_and_when_it_is_empty() -> None:
    assert "<caption>runs</caption>" in table(["a"], [["1"]], caption="runs")
    assert "Nothing here yet" in table(["a"], [], caption="runs")


def test_figures_and_times_are_for_people() -> None:
    now = datetime(2026, 11, 20, 12, tzinfo=UTC)
    assert [number(one) for one in (None, 12345, 0.5, 3.2e-5, 0.0)] == [
        "",
        "12,345",
        "0.5",
        "3.2e-05",
        "0",
    ]
    assert [span(one) for one in (0.5, 61, 3700, 90000)] == [
        "0.5 s",
        "1 min 1 s",
        "1 h 1 min",
        "1 d 1 h",
    ]
    assert ago("2026-11-20T11:55:00+00:00", now) == "5 min ago"
    assert ago((now + timedelta(hours=2)).timestamp() * 1000, now) == "in 2 h"
    assert size(14_696_448) == "14.7 MB"
