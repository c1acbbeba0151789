"""From recipes and pipelines to an ordered graph."""

from pathlib import Path

import pytest

from llmops.errors import BadInput
from llmops.runner.graph import Graph, build_graph
from llmops.stages.catalog import KINDS

TRAIN = """\
kind: train
stage: {stage}
base: "{base}"
data: {{train: ["path:a.jsonl"]}}
output: {{model: town}}
"""


def write(project: Path, name: str, text: str) -> Path:
    file = project / name
    file.write_text(text, encoding="utf-8")
    return file


def recipe(project: Path, name: str, base: str, stage: str = "sft") -> Path:
    return write(project, f"{name}.yaml", TRAIN.format(stage=stage, base=base))


def graph_of(file: Path, *overrides: str) -> Graph:
    return build_graph(file, overrides, root=file.parent, kinds=KINDS)


def names(graph: Graph) -> list[str]:
    return [node.name for node in graph.nodes]


def refused(file: Path) -> str:
    with pytest.raises(BadInput) as caught:
        graph_of(file)
    return str(caught.value)


def test_a_recipe_brings_what_it_stands_on(project: Path) -> None:
    recipe(project, "a", "path:base")
    recipe(project, "b", "recipe:a.yaml")
    graph = graph_of(recipe(project, "c", "recipe:b.yaml"))
    assert names(graph) == ["a", "b", "c"]
    assert graph.node("c").inputs["base"].node == "b"


def test_overrides_reach_the_named_recipe_only(project: Path) -> None:
    recipe(project, "a", "path:base")
    graph = graph_of(recipe(project, "b", "recipe:a.yaml"), "args.max_steps=3")
    assert graph.node("b").spec.args == {"max_steps": 3}
    assert graph.node("a").spec.args == {}


def test_recipes_in_a_circle_are_refused(project: Path) -> None:
    recipe(project, "a", "recipe:b.yaml")
    told = refused(recipe(project, "b", "recipe:a.yaml"))
    assert "in a circle: b.yaml -> a.yaml -> b.yaml" in told
    assert "a.yaml:3: base" in told


def test_stages_in_a_circle_are_refused(project: Path) -> None:
    recipe(project, "r", "path:base")
    text = (
        "name: p\nstages:\n"
        "  a: {recipe: r.yaml, base: 'stage:b'}\n  b: {recipe: r.yaml, base: 'stage:a'}\n"
    )
    assert "in a circle: a -> b -> a" in refused(write(project, "p.yaml", text))


def test_a_stage_may_stand_on_itself_no_more_than_on_others(project: Path) -> None:
    recipe(project, "r", "path:base")
    text = "name: p\nstages:\n  a: {recipe: r.yaml, base: 'stage:a'}\n"
    assert "in a circle: a -> a" in refused(write(project, "p.yaml", text))


def test_stages_run_after_what_they_need(project: Path) -> None:
    recipe(project, "r", "path:base")
    text = (
        "name: p\nstages:\n  late: {recipe: r.yaml, base: 'stage:early'}\n"
        "  early: {recipe: r.yaml}\n"
    )
    assert names(graph_of(write(project, "p.yaml", text))) == ["early", "late"]


def test_a_recipe_that_a_pipeline_holds_is_not_run_twice(project: Path) -> None:
    recipe(project, "a", "path:base")
    recipe(project, "b", "recipe:a.yaml")
    text = "name: p\nstages:\n  one: {recipe: a.yaml}\n  two: {recipe: b.yaml}\n"
    assert names(graph_of(write(project, "p.yaml", text))) == ["one", "two"]


def test_a_pipeline_sets_options_of_its_recipes(project: Path) -> None:
    recipe(project, "a", "path:base")
    text = "name: p\nstages:\n  one: {recipe: a.yaml, set: {args.max_steps: 2}}\n"
    assert graph_of(write(project, "p.yaml", text)).node("one").spec.args == {"max_steps": 2}


@pytest.mark.parametrize(
    ("stages", "words"),
    [
        ("  a: {recipe: r.yaml, base: 'stage:x'}", "p.yaml:3: stages.a.base: no stage `x`"),
        ("  a: {recipe: q.yaml}", "p.yaml:3: stages.a.recipe: no such recipe: q.yaml"),
        ("  a: {promote: 'stage:b', to: x}", "p.yaml:3: stages.a.promote: no stage `b`"),
        ("  a: {recipe: r.yaml, set: {stage: x}}", "p.yaml:3: stages.a.set.stage: `x` is not"),
    ],
)
def test_a_bad_stage_is_told_at_its_line(project: Path, stages: str, words: str) -> None:
    recipe(project, "r", "path:base")
    assert words in refused(write(project, "p.yaml", f"name: p\nstages:\n{stages}\n"))


def test_an_alias_is_not_both_read_and_moved(project: Path) -> None:
    recipe(project, "r", "town@production")
    text = "name: p\nstages:\n  a: {recipe: r.yaml}\n  b: {promote: 'stage:a', to: production}\n"
    told = refused(write(project, "p.yaml", text))
    assert "`town@production` is read by the stage `a` and moved in the same run" in told


def test_stage_references_belong_to_pipelines(project: Path) -> None:
    assert "only inside a pipeline" in refused(recipe(project, "a", "stage:b"))
