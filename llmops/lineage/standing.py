"""Where versions stand: what aliases name them now and named them before, who serves them, where
they were pushed to."""

from collections.abc import Iterable
from functools import cache

from llmops.lineage.graph import Graph
from llmops.registry.aliases import Move
from llmops.registry.manifest import VersionId
from llmops.registry.store import Registry
from llmops.serving.state import running


class Standing:
    """Of a project's versions, read once."""

    def __init__(self, registry: Registry) -> None:
        self._moves = cache(registry.alias_log.history)
        self._states = running(registry.paths.serving)

    def add(self, graph: Graph, version: str, *, before: bool = True) -> None:
        """What stands for a version, as nodes after it. before: also where it stood once."""
        self._aliases(graph, version, before)
        for state in self._states:
            variants = sorted(name for name, one in state.variants.items() if one == version)
            loaded = [b for b in state.backends.values() if version in (*b.versions, state.base)]
            if variants or loaded:
                told = graph.node(f"deployment:{state.name}", "deployment", state.name)
                graph.edge(version, told, "served by" if variants else "loaded by",
                           variants=variants)  # fmt: skip

    def _aliases(self, graph: Graph, version: str, before: bool) -> None:
        try:
            name = VersionId.parse(version).name
        except ValueError:
            return
        for alias, spans in _spans(version, self._moves(name)).items():
            node = f"{name}@{alias}"
            if spans[-1][1] is None:
                graph.edge(
                    version, graph.node(node, "alias", alias), "named by", since=spans[-1][0]
                )
            elif before:
                graph.edge(
                    version, graph.node(node, "alias", alias), "was named by", spans=list(spans)
                )


def _spans(version: str, moves: Iterable[Move]) -> dict[str, list[tuple[str, str | None]]]:
    """By alias, from when to when it named the version; None: it does now."""
    found: dict[str, list[tuple[str, str | None]]] = {}
    for move in moves:
        if move.version == version:
            found.setdefault(move.alias, []).append((move.time, None))
        elif (spans := found.get(move.alias)) and spans[-1][1] is None:
            spans[-1] = (spans[-1][0], move.time)
    return found
