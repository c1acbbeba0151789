"""Where versions stand: what aliases name them now and named them before, who serves them, where
they were pushed to."""

from collections.abc import Iterable
from functools import cache
from typing import Any

from llmops.lineage.graph import Graph
from llmops.registry.aliases import Move
from llmops.registry.manifest import VersionId
from llmops.registry.remote.seen import seen
from llmops.registry.store import Registry
from llmops.serving.state import running


class Standing:
    """Of a project's versions, read once."""

    def __init__(self, registry: Registry) -> None:
        self._spans = cache(lambda name: _spans(registry.alias_log.history(name)))
        self._states = running(registry.paths.serving)
        self._seen = cache(lambda name: seen(name, registry.paths))

    def add(self, graph: Graph, version: str, *, before: bool = True) -> None:
        """What stands for a version, as nodes after it. before: also where it stood once."""
        try:
            one = VersionId.parse(version)
        except ValueError:
            return
        self._aliases(graph, version, one.name, before)
        for state in self._states:
            variants = sorted(name for name, served in state.variants.items() if served == version)
            loaded = [b for b in state.backends.values() if version in (*b.versions, state.base)]
            if variants or loaded:
                told = graph.node(f"deployment:{state.name}", "deployment", state.name)
                relation = "served by" if variants else "loaded by"
                graph.edge(version, told, relation, variants=variants)
        there = self._seen(one.name)
        if there is not None and one.number in there.versions:
            place = f"{there.repository}@v{one.number}"
            commit = there.versions[one.number]
            node = graph.node(f"hub:{place}", "hub", place, commit=commit, seen=there.time)
            graph.edge(version, node, "on the Hub as")

    def _aliases(self, graph: Graph, version: str, name: str, before: bool) -> None:
        for alias, spans in self._spans(name).get(version, {}).items():
            if spans[-1][1] is None:
                relation, facts = "named by", dict[str, Any](since=spans[-1][0])
            elif before:
                relation, facts = "was named by", {"spans": [list(span) for span in spans]}
            else:
                continue
            graph.edge(version, graph.node(f"{name}@{alias}", "alias", alias), relation, **facts)


Span = tuple[str, str | None]
"""From when to when an alias named a version; None: it does now."""


def _spans(moves: Iterable[Move]) -> dict[str, dict[str, list[Span]]]:
    """By version and alias, the oldest first."""
    found: dict[str, dict[str, list[Span]]] = {}
    stands: dict[str, list[Span]] = {}
    for move in moves:
        if (last := stands.get(move.alias)) is not None:
            last[-1] = (last[-1][0], move.time)
        stands[move.alias] = found.setdefault(move.version, {}).setdefault(move.alias, [])
        stands[move.alias].append((move.time, None))
    return found
