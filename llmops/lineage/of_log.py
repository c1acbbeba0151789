"""`llmops lineage --inference ID` and `--user ID`: the versions that an answer, or all that a user
asked and said, went into. Neither a user's name nor a text is kept or told."""

from typing import Any

from llmops.errors import BadInput, LlmopsError, NotFound
from llmops.feedback.identity import bare, load_identity
from llmops.lineage import log
from llmops.lineage.graph import Graph
from llmops.lineage.project import Project
from llmops.lineage.touched import Touched
from llmops.preferences.snapshot import find_snapshot

_SAID = ("time", "kind", "value", "choice", "source", "redacted")


def of_inference(text: str, project: Project) -> Graph:
    """text: the id of an answer, as clients saw it, or of an event about one. Where the log is
    away, what snapshots hold of that id. Raises NotFound for one that nothing knows."""
    touched = Touched(project)
    graph, found = touched.graph, _looked_up(text, project, touched.graph)
    id = bare(text) if found is None else found["id"]
    row: dict[str, Any] = (found or {}).get("inference") or {}
    state = "missing" if not row else "erased" if row["redacted"] else ""
    facts = {name: row.get(name) for name in ("time", "deployment", "variant", "version", "source")}
    answer = graph.node(f"answer:{id}", "answer", id, state, **facts)
    graph.about.append(answer)
    events = (found or {}).get("events") or []
    for event in events:
        node = graph.node(f"event:{event['id']}", "event", f"{event['kind']} {event['id']}",
                          "erased" if event["redacted"] else "",
                          **{name: event[name] for name in _SAID})  # fmt: skip
        graph.edge(answer, node, "rated by")
    touched.rows(answer, {id, *(event["id"] for event in events)})
    if found is None and not list(graph.out(answer)):
        raise NotFound(
            f"no snapshot of preferences knows `{text[:80]}`, and the log cannot be asked",
            fix="; ".join(graph.notes) or "nobody was ever answered in this project",
        )
    touched.finished()
    if row:
        graph.edge(touched.sources.version(row["version"]), answer, "answered")
    return graph


def _looked_up(text: str, project: Project, graph: Graph) -> dict[str, Any] | None:
    """What the log knows of it; None where there is no log, or it cannot be read."""
    from llmops.feedback.query import show

    try:
        database = project.database
    except LlmopsError as error:
        graph.notes.append(error.line)
        return None
    return None if database is None else show(database, text)


def of_user(name: str, project: Project) -> Graph:
    """name: as the application names the user, which is told to nobody. Raises BadInput for none,
    Failed when the log cannot be read."""
    if not name.strip():
        raise BadInput("a user's name is empty", fix="--user ID, as the application names the user")
    touched = Touched(project)
    graph, database = touched.graph, project.database
    hashed = load_identity(project.paths.secret).user(name)
    found = {} if database is None else log.user_rows(database, hashed)
    counts = {kind: len(ids) for kind, ids in found.items()}
    told = f"{counts.get('answers', 0):,} answers, {counts.get('events', 0):,} events"
    user = graph.node("user", "user", "user", told=told, **counts)
    graph.about.append(user)
    ids = {id for some in found.values() for id in some}
    if ids:
        touched.rows(user, ids)
    for erasure in [] if database is None else log.erasures(database, hashed):
        _erased(user, erasure, touched)
    if not ids:
        graph.notes.append("the log holds nothing of this user")
    return touched.finished()


def _erased(user: str, erasure: dict[str, Any], touched: Touched) -> None:
    """What a snapshot no longer holds, which versions trained on before it was erased."""
    for one in erasure.get("snapshots", ()):
        node = touched.graph.node(one["id"], "preferences", one["id"], "erased")
        touched.graph.edge(user, node, "rows erased from", rows=one["rows"], time=erasure["time"])
        for version in {*one["versions"], *_since(one, touched)}:
            touched.use(node, version, "trained on")
    for version in erasure.get("golden", ()):
        touched.use(user, version, "golden prompts of")


def _since(erased: dict[str, Any], touched: Touched) -> list[str]:
    """Versions that trained on the rows and were registered only after they had gone."""
    try:
        snapshot = find_snapshot(erased["id"].removeprefix("preferences:"), touched.project.paths)
    except NotFound:
        return []
    except LlmopsError as error:
        notes = touched.graph.notes
        notes += [error.line] if error.line not in notes else []
        return []
    held = []
    for gone in snapshot.manifest.tombstones:
        held.append(gone.train)
        if gone.before == erased["before"]:
            return [use.version for use in touched.project.versions.using(digests=held)]
    return []
