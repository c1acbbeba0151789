"""`--from` and `--until`: which stages a run is about, and which it makes again."""

from pathlib import Path

import pytest

from llmops.errors import BadInput
from llmops.runner.graph import Graph, build_graph
from llmops.runner.scope import EVERYTHING, Scope
from llmops.stages.catalog import KINDS
from tests.fast.copying_stage import RECIPE

PIPELINE = """\
name: p
stages:
  base: {recipe: r.yaml, base: "path:seed"}
  left: {recipe: r.yaml, base: "stage:base"}
  right: {recipe: r.yaml, base: "stage:base"}
  last: {recipe: r.yaml, base: "stage:left", after: [right]}
"""


def graph(project: Path, scope: Scope = EVERYTHING, target: str = "p.yaml") -> Graph:
    (project / "r.yaml").write_text(RECIPE, encoding="utf-8")
    (project / "p.yaml").write_text(PIPELINE, encoding="utf-8")
    return build_graph(project / target, [], root=project, kinds=KINDS, scope=scope)


@pytest.mark.parametrize(
    ("scope", "again"),
    [
        (EVERYTHING, set()),
        (Scope(begin="left"), {"left", "last"}),
        (Scope(begin="last"), {"last"}),
        (Scope(begin="base"), {"base", "left", "right", "last"}),
        (Scope(force=True), {"base", "left", "right", "last"}),
        (Scope(begin="left", until="left"), {"left"}),
    ],
)
def test_what_is_made_again(project: Path, scope: Scope, again: set[str]) -> None:
    assert graph(project, scope).again == again


@pytest.mark.parametrize(
    ("until", "kept"),
    [("base", ["base"]), ("left", ["base", "left"]), ("last", ["base", "left", "right", "last"])],
)
def test_what_a_stage_does_not_need_is_left_out(project: Path, until: str, kept: list[str]) -> None:
    assert [node.name for node in graph(project, Scope(until=until)).nodes] == kept


@pytest.mark.parametrize("scope", [Scope(begin="lefd"), Scope(until="lefd")])
def test_a_stage_that_is_not_there_is_refused_with_the_nearest(project: Path, scope: Scope) -> None:
    with pytest.raises(BadInput) as caught:
        graph(project, scope)
    assert "left" in caught.value.fix


def test_from_a_stage_that_until_leaves_out_is_refused(project: Path) -> None:
    with pytest.raises(BadInput, match="no stage `last`"):
        graph(project, Scope(begin="last", until="left"))
