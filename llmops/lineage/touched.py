"""Which versions anything went into: a file, an answer with what was said of it, all of a user.

A version is touched directly when it was trained on it or validated with it, and through others
when it was made of a version that is; each says where it stands now.
"""

from collections.abc import Collection
from typing import Any

from llmops.errors import Failed
from llmops.lineage.graph import Graph
from llmops.lineage.project import Project
from llmops.lineage.sources import Sources, snapshot_facts
from llmops.lineage.standing import Standing
from llmops.lineage.uses import part
from llmops.preferences.erasure import rows_from
from llmops.preferences.snapshot import HOLDOUT, Snapshot


class Touched:
    """A graph that grows from what was asked for to the versions."""

    def __init__(self, project: Project) -> None:
        self.graph = Graph()
        self.project = project
        self.sources = Sources(self.graph, project)
        self._direct: dict[str, None] = {}

    def use(self, source: str, version: str, relation: str, **facts: Any) -> None:
        """A version was made of a node."""
        self._direct[version] = None
        self.sources.version(version, touched="directly")
        self.graph.edge(source, version, relation, **facts)

    def rows(self, source: str, ids: Collection[str]) -> None:
        """All snapshots with rows that came from these answers and events."""
        for one in self.project.snapshots(self.graph.notes):
            try:
                found = rows_from(one, ids)
            except Failed as error:
                self.graph.notes.append(error.line)
                continue
            if found:
                self.snapshot(source, one, found.get("train", 0), found.get("holdout", 0))

    def snapshot(self, source: str, one: Snapshot, rows: int, held: int) -> None:
        """A snapshot with so many rows that train and that are held out; and who used those."""
        node = self.graph.node(one.id, "preferences", one.id, **snapshot_facts(one))
        self.graph.edge(source, node, "rows in", rows=rows, held_out=held or None)
        for use in self.project.versions.of_snapshot(one):
            if held if part(use, one) == HOLDOUT else rows:
                self.use(node, use.version, use.used.role, samples=use.used.samples or None)

    def finished(self) -> Graph:
        """With what was made of the touched versions, and where all of them stand."""
        versions = self.project.versions
        for before, after, relation in versions.descendants(self._direct):
            self.sources.version(after, touched="through others")
            self.graph.edge(before, after, relation)
        standing = Standing(self.project.registry)
        for node in self.graph.nodes:
            if node.kind == "version" and "touched" in node.facts:
                standing.add(self.graph, node.id, before=False)
        self.graph.notes += [f"the manifest of {one} cannot be read" for one in versions.unreadable]
        return self.graph
