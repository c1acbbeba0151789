"""`llmops lineage NAME:v4`: what a version was made of, and what came of it."""

from llmops.errors import NotFound
from llmops.lineage.graph import Graph
from llmops.lineage.project import Project
from llmops.lineage.sources import Sources
from llmops.lineage.standing import Standing
from llmops.registry.evidence import EvidenceLog


def of_version(text: str, project: Project, *, full: bool = False) -> Graph:
    """text: NAME:vN, also of a version that was deleted, or NAME@ALIAS. full: with the ids of the
    events and answers behind its pairs. Raises BadInput when there never was such a version."""
    graph = Graph()
    version = _named(text, project)
    graph.about.append(version)
    sources = Sources(graph, project, full=full)
    sources.follow(version)
    for node in graph.nodes:
        if node.kind == "answers" and node.facts.get("version", "") in graph:
            graph.edge(node.facts["version"], node.id, "answered")
    for child, relation in project.versions.children(version).items():
        graph.edge(version, sources.version(child), relation)
    _evidence(graph, version, project)
    Standing(project.registry).add(graph, version)
    unreadable = project.versions.unreadable
    graph.notes += [f"the manifest of {one} cannot be read" for one in unreadable]
    return graph


def _named(text: str, project: Project) -> str:
    try:
        return str(project.registry.resolve(text).id)
    except NotFound:
        if project.versions.find(text) is None:
            raise
        return text


def _evidence(graph: Graph, version: str, project: Project) -> None:
    name = version.partition(":")[0]
    for piece in EvidenceLog(project.paths).of(name, version):
        state = ""
        if piece.file and not (project.paths.root / piece.file).is_file():
            state = "missing"
        outcome = "passed" if piece.passed else "did not pass"
        label = piece.kind if piece.kind == "override" else f"{piece.kind} {outcome}"
        id = f"evidence:{piece.id.removeprefix('evidence:')}"
        node = graph.node(id, "evidence", label, state, time=piece.time, summary=piece.summary,
                          against=piece.against, file=piece.file, by=piece.by)  # fmt: skip
        graph.edge(version, node, "measured by")
