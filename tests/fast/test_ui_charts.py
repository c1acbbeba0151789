"""What the UI draws: aliases over time, intervals, the graph of a lineage."""

import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from llmops.ui.drawing import MOST, Node, draw
from llmops.ui.interval import Interval, Mark, intervals, words
from llmops.ui.layers import Sizes, laid_out
from llmops.ui.timeline import lanes, moves_table, since, timeline

START = datetime(2026, 11, 1, tzinfo=UTC)


def move(day: float, alias: str, version: int, before: int | None = None) -> dict[str, Any]:
    return {
        "time": (START + timedelta(days=day)).isoformat(),
        "alias": alias,
        "version": f"town:v{version}",
        "before": None if before is None else f"town:v{before}",
        "why": f"because {version}",
        "by": "cli:mara",
    }


MOVES = [move(0, "anchor", 1), move(1, "production", 1), move(6, "production", 2, 1)]


def styles(html: str, name: str) -> list[tuple[float, float]]:
    """left and width, in percent, of all elements of a class."""
    found = re.findall(rf'class="[^"]*{name}[^"]*" style="left:([\d.]+)%;width:([\d.]+)%', html)
    return [(float(left), float(width)) for left, width in found]


def test_an_alias_names_a_version_until_it_names_another() -> None:
    first, second = lanes(MOVES)["production"]
    assert (first.version, first.end) == ("town:v1", second.start)
    assert (second.version, second.end) == ("town:v2", None)


def test_production_comes_first() -> None:
    assert list(lanes(MOVES)) == ["production", "anchor"]


def test_spans_lie_where_their_times_do() -> None:
    shown = timeline(MOVES, START + timedelta(days=10))
    assert styles(shown, "ll-lane-span") == [(10.0, 50.0), (60.0, 40.0), (0.0, 100.0)]


def test_a_clock_that_went_back_draws_nothing_backwards() -> None:
    moves = [move(0, "anchor", 1), move(2, "production", 1), move(1, "production", 2, 1)]
    drawn = styles(timeline(moves, START + timedelta(days=3)), "ll-lane-span")
    assert len(drawn) == 3  # neither is negative, which would be no figure here


def test_no_moves_no_picture() -> None:
    assert timeline([]) == ""


def test_the_move_that_an_alias_stands_on_is_its_last() -> None:
    assert since(MOVES, "production") == MOVES[2]
    assert since(MOVES, "nobody") is None


def test_moves_are_told_a_page_at_a_time_newest_first() -> None:
    moves = [move(day, "production", day + 1, day or None) for day in range(20)]
    first = moves_table({"tab": "models", "model": "town"}, moves)
    assert "because 20" in first
    assert "because 12" not in first
    assert "moves=8" in first
    last = moves_table({"tab": "models", "model": "town", "moves": "16"}, moves)
    assert "because 1<" in last
    assert "moves=24" not in last


def test_a_page_that_is_no_number_is_the_first() -> None:
    assert "because 2" in moves_table({"moves": "²"}, MOVES)


def test_an_interval_lies_on_the_scale_of_all() -> None:
    rows = [Interval("a", 0.5, 0.0, 1.0), Interval("b", 0.25, 0.0, 0.5)]
    (_, whole), (_, half) = styles(intervals(rows, caption="c"), "ll-interval-bar")
    assert whole == 2 * half


def test_an_end_that_is_not_known_runs_out_of_the_picture() -> None:
    shown = intervals([Interval("a", 0.1, None, 0.4)], [Mark(0.0, "none")], caption="c")
    (left, _) = styles(shown, "ll-interval-bar")[0]
    assert left == 0.0
    assert "ll-open-low" in shown
    assert "[any, 0.400]" in shown


def test_an_interval_is_told_in_words_too() -> None:
    assert words(Interval("a", 0.21, 0.08, 0.34), sign=True) == "+0.210, between +0.080 and +0.340"


def test_nothing_measured_is_said_and_not_drawn() -> None:
    shown = intervals([Interval("a", None, None, None)], caption="c")
    assert "nothing yet" in shown
    assert "ll-interval-bar" not in shown


def nodes(*names: str) -> list[Node]:
    return [Node(name, name, "version") for name in names]


def column(html: str, label: str) -> float:
    """The left edge of a node's box."""
    found = re.search(rf'<rect x="([\d.]+)"[^>]*/><text[^>]*>[^<]*</text><text[^>]*>{label}<', html)
    assert found is not None
    return float(found[1])


def test_what_was_made_stands_right_of_what_it_was_made_of() -> None:
    shown = draw(nodes("a", "b", "c"), [("a", "b"), ("b", "c"), ("a", "c")], title="t").html
    assert column(shown, "a") < column(shown, "b") < column(shown, "c")


def test_a_source_stands_right_before_its_use() -> None:
    shown = draw(nodes("a", "b", "c", "data"), [("a", "b"), ("b", "c"), ("data", "c")], title="t")
    assert column(shown.html, "data") == column(shown.html, "b")


def test_a_cycle_is_drawn_and_ends() -> None:
    shown = draw(nodes("a", "b"), [("a", "b"), ("b", "a"), ("a", "a"), ("a", "gone")], title="t")
    assert shown.html.count("ll-thread") == 2
    assert shown.left_out == 0


def test_a_crowd_of_one_kind_is_drawn_as_one_and_the_version_itself_stays() -> None:
    many = [Node(f"n{i}", f"n{i}", "data") for i in range(12)]
    chosen = Node("me", "me", "version", strong=True)
    edges = [(one.id, "end") for one in [*many, chosen]]
    shown = draw([*many, chosen, *nodes("end")], edges, title="t")
    assert ">12 data files<" in shown.html
    assert ">me<" in shown.html
    assert shown.html.count("ll-thread") == 2


def test_of_too_many_those_near_to_what_was_asked_for_are_drawn() -> None:
    many = nodes(*(f"n{i}" for i in range(MOST + 5)))
    edges = [(f"n{i}", f"n{i + 1}") for i in range(MOST + 4)]
    shown = draw([*many[:-1], Node("n404", "n404", "version", strong=True)], edges, title="t")
    assert shown.left_out == 5
    assert ">n5<" in shown.html
    assert ">n4<" not in shown.html


def test_no_box_lies_on_another_and_no_edge_runs_through_one() -> None:
    names = [f"n{i}" for i in range(60)]
    edges = [
        (a, b) for i, a in enumerate(names) for j, b in enumerate(names) if i < j and i * j % 7 == 1
    ]
    found = laid_out(names, edges, Sizes(100, 40, 30, 10))
    boxes = [(x, y) for x, y in found.places.values()]
    assert all(a[0] != b[0] or abs(a[1] - b[1]) >= 40 for a in boxes for b in boxes if a is not b)
    level = [(p, q) for way in found.ways for p, q in pairwise(way) if p[1] == q[1]]
    across = [(p, q) for p, q in level if abs(p[0] - q[0]) == 100]
    assert across
    assert not [1 for (x, y), _ in across for bx, by in boxes if bx == x and by < y < by + 40]


def test_a_graph_without_nodes_has_no_size() -> None:
    assert (laid_out([], [], Sizes(1, 1, 1, 1)).width, draw([], [], title="t").left_out) == (0, 0)
