"""The graph of a lineage: an edge leads from what was used to what was made of it.

What is not there any more, or not as it was, is a node like any other and says so: `state` is
empty, or one of STATES. No text of a user is ever in it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

KINDS = {
    "version": "NAME:vN",
    "model": "path:DIR or hub:ORG/NAME@COMMIT: one that is not in the registry",
    "data": "data:PATH#DIGEST, the digest's first 12 figures: a data file as it was used",
    "preferences": "preferences:NAME@N: a snapshot",
    "pairs": "pairs:NAME@N/BUILDER: rows of a snapshot by the builder that made them",
    "events": "events:NAME@N/KIND: feedback behind a snapshot's rows",
    "answers": "answers:NAME@N/VERSION: answers behind a snapshot's rows, by who gave them",
    "recipe": "recipe:FILE",
    "run": "run:ID",
    "evidence": "evidence:...",
    "alias": "NAME@ALIAS",
    "deployment": "deployment:NAME",
    "hub": "hub:ORG/NAME@TAG: where a version lies on the Hub",
    "answer": "answer:ID",
    "event": "event:ID",
    "user": "user",
}
"""Kinds of nodes, and their ids, which are the same whenever and whatever is asked."""

STATES = ("changed", "missing", "deleted", "erased", "unreadable")
"""changed: it is there with other content than was used; missing: it is not there; deleted: a
version that left its record; erased: texts or rows of it were erased; unreadable: damaged."""


@dataclass(frozen=True)
class Node:
    """facts: by name, as JSON has them."""

    id: str
    kind: str
    label: str
    state: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Edge:
    """relation: what `target` is to `source`, in words: trained on, trained from, base, ..."""

    source: str
    target: str
    relation: str
    facts: Mapping[str, Any] = field(default_factory=dict)


class Graph:
    """about: the ids of the nodes that were asked for; notes: what could not be looked at."""

    def __init__(self) -> None:
        self.about: list[str] = []
        self.notes: list[str] = []
        self._nodes: dict[str, Node] = {}
        self._edges: dict[tuple[str, str, str], Edge] = {}
        self._into: dict[str, list[Edge]] = {}
        self._out: dict[str, list[Edge]] = {}

    def node(self, id: str, kind: str, label: str, state: str = "", /, **facts: Any) -> str:
        """Its id. One that is known already stays as it is."""
        known = {name: value for name, value in facts.items() if value not in (None, "", [], {})}
        self._nodes.setdefault(id, Node(id, kind, label, state, known))
        return id

    def edge(self, source: str, target: str, relation: str, /, **facts: Any) -> None:
        key = source, target, relation
        if key in self._edges:
            return
        known = {name: value for name, value in facts.items() if value not in (None, "", [], {})}
        edge = self._edges[key] = Edge(source, target, relation, known)
        self._into.setdefault(target, []).append(edge)
        self._out.setdefault(source, []).append(edge)

    def __contains__(self, id: str) -> bool:
        return id in self._nodes

    def __getitem__(self, id: str) -> Node:
        return self._nodes[id]

    @property
    def nodes(self) -> Sequence[Node]:
        return list(self._nodes.values())

    @property
    def edges(self) -> Sequence[Edge]:
        return list(self._edges.values())

    def into(self, id: str) -> Iterable[Edge]:
        return self._into.get(id, ())

    def out(self, id: str) -> Iterable[Edge]:
        return self._out.get(id, ())

    def record(self) -> dict[str, Any]:
        """As `llmops lineage --json` and the API give it."""
        nodes = [
            {"id": one.id, "kind": one.kind, "label": one.label, "state": one.state,
             "facts": dict(one.facts)}
            for one in self.nodes
        ]  # fmt: skip
        edges = [
            {"from": one.source, "to": one.target, "relation": one.relation,
             "facts": dict(one.facts)}
            for one in self.edges
        ]  # fmt: skip
        return {"about": self.about, "nodes": nodes, "edges": edges, "notes": self.notes}
