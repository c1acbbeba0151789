"""Where a version comes from and what came of it, as a graph that can be drawn.

A node is a version, a snapshot of preferences, a data file, a run, a recipe, a piece of evidence
or an alias; an edge leads from what was used to what was made of it.
"""

from collections.abc import Iterator
from typing import Any

from llmops.errors import BadInput
from llmops.registry.evidence import EvidenceLog
from llmops.registry.manifest import Manifest, VersionId
from llmops.registry.store import Registry

DEPTH = 32
"""Generations of a version's ancestors that are followed."""


def lineage(name: str, number: int, registry: Registry) -> dict[str, Any]:
    """nodes: {id, kind, label}; edges: [from, to]. Raises BadInput for no such version."""
    graph = _Graph()
    manifest = registry.get(VersionId(name, number))
    _children(graph, manifest, registry)
    _evidence(graph, manifest, registry)
    for alias, n in registry.aliases(name).items():
        if n == number:
            graph.edge(str(manifest.id), graph.node(f"{name}@{alias}", "alias", alias))
    for one in _with_ancestors(manifest, registry):
        _sources(graph, one, registry)
    return graph.shown()


class _Graph:
    def __init__(self) -> None:
        self._nodes: dict[str, dict[str, str]] = {}
        self._edges: dict[tuple[str, str], None] = {}

    def node(self, id: str, kind: str, label: str) -> str:
        self._nodes.setdefault(id, {"id": id, "kind": kind, "label": label})
        return id

    def edge(self, before: str, after: str) -> None:
        self._edges[before, after] = None

    def shown(self) -> dict[str, Any]:
        return {"nodes": list(self._nodes.values()), "edges": [list(edge) for edge in self._edges]}


def _with_ancestors(manifest: Manifest, registry: Registry) -> Iterator[Manifest]:
    """A version, what it was trained from, and so on; and the bases of its adapters."""
    seen, next_up = {manifest.id}, [manifest]
    for _ in range(DEPTH):
        here, next_up = next_up, []
        for one in here:
            yield one
            for parent in _parents(one):
                if parent not in seen:
                    seen.add(parent)
                    found = _found(parent, registry)
                    next_up += [found] if found is not None else []


def _parents(manifest: Manifest) -> list[VersionId]:
    found = []
    for text in (manifest.lineage.parent, manifest.base):
        try:
            found.append(VersionId.parse(text or ""))
        except ValueError:
            continue  # a directory, or none
    return found


def _found(version: VersionId, registry: Registry) -> Manifest | None:
    try:
        return registry.get(version)
    except BadInput:
        return None


def _sources(graph: _Graph, manifest: Manifest, registry: Registry) -> None:
    """What a version was made of."""
    here = graph.node(str(manifest.id), "version", f"{manifest.id} ({manifest.stage})")
    made = manifest.lineage
    for text, what in ((made.parent, "trained from"), (manifest.base, "base")):
        if text:
            kind = "model" if text.startswith(("path:", "hub:")) else "version"
            graph.edge(graph.node(text, kind, f"{text}" if kind == "version" else what), here)
    if made.recipe:
        graph.edge(graph.node(f"recipe:{made.recipe}", "recipe", made.recipe), here)
    if made.run:
        graph.edge(graph.node(f"run:{made.run}", "run", made.run), here)
    if made.imported_from:
        source = made.imported_from
        graph.edge(graph.node(f"path:{source}", "directory", source), here)
    for data in made.data:
        snapshot = _snapshot(data.path, registry)
        id = f"preferences:{snapshot}" if snapshot else f"data:{data.path}"
        kind = "preferences" if snapshot else "data"
        label = f"{snapshot or data.path}, {data.samples:,} samples"
        graph.edge(graph.node(id, kind, label), here)


def _snapshot(path: str, registry: Registry) -> str | None:
    """NAME@N, when a data file is of a snapshot of preferences."""
    try:
        below = (registry.root / path).relative_to(registry.paths.preferences)
    except ValueError:
        return None
    return f"{below.parts[0]}@{below.parts[1]}" if len(below.parts) > 2 else None


def _children(graph: _Graph, manifest: Manifest, registry: Registry) -> None:
    here = graph.node(str(manifest.id), "version", f"{manifest.id} ({manifest.stage})")
    for child in registry.children(manifest.id):
        label = f"{child.id} ({child.stage})"
        graph.edge(here, graph.node(str(child.id), "version", label))


def _evidence(graph: _Graph, manifest: Manifest, registry: Registry) -> None:
    for piece in EvidenceLog(registry.paths).of(manifest.name, str(manifest.id)):
        passed = "passed" if piece.passed else "did not pass"
        label = piece.kind if piece.kind == "override" else f"{piece.kind} {passed}"
        graph.edge(str(manifest.id), graph.node(f"evidence:{piece.id}", "evidence", label))
