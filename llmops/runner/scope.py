"""Which stages of a graph a run is about, and which of those it makes again."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from llmops.errors import BadInput
from llmops.spec.source import display
from llmops.spec.suggest import did_you_mean

if TYPE_CHECKING:
    from llmops.runner.graph import Graph


@dataclass(frozen=True)
class Scope:
    """force: make again what is up to date; of a recipe, its own stage and not what that stands on.
    begin: make that stage again, and all that comes of it. until: leave out what that stage does
    not need."""

    force: bool = False
    begin: str | None = None
    until: str | None = None


EVERYTHING = Scope()


def scoped(graph: "Graph", scope: Scope) -> "Graph":
    """The part of a graph that a run is about. Raises BadInput for a stage that is not in it."""
    if scope.until is not None:
        kept = _needed(graph, _known(graph, scope.until, "--until"))
        graph = replace(graph, nodes=[node for node in graph.nodes if node.name in kept])
    return replace(graph, scope=scope, again=frozenset(_again(graph, scope)))


def _again(graph: "Graph", scope: Scope) -> set[str]:
    found: set[str] = set()
    if scope.force:
        whole = "stages" in graph.target.source.data
        found = {node.name for node in (graph.nodes if whole else graph.nodes[-1:])}
    if scope.begin is not None:
        after = {_known(graph, scope.begin, "--from")}
        for node in graph.nodes:  # in their order, so that what a stage needs comes before it
            if node.needs & after:
                after.add(node.name)
        found |= after
    return found


def _needed(graph: "Graph", name: str) -> set[str]:
    """The stage and all that it needs."""
    found = {name}
    for node in reversed(graph.nodes):
        if node.name in found:
            found |= node.needs
    return found


def _known(graph: "Graph", name: str, option: str) -> str:
    names = [node.name for node in graph.nodes]
    if name not in names:
        fix = did_you_mean(name, names)
        raise BadInput(f"{option}: no stage `{name}`", where=display(graph.target.path), fix=fix)
    return name
