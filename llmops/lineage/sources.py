"""What a version was made of, and what its sources were made of, to their ends."""

from typing import Any

from llmops.errors import LlmopsError, NotFound
from llmops.lineage.behind import add_behind
from llmops.lineage.graph import Graph
from llmops.lineage.project import Project
from llmops.lineage.recipe import changes_of
from llmops.lineage.versions import Origin, held_out, parent_relation, snapshot_of
from llmops.preferences.snapshot import HOLDOUT, TRAIN, Snapshot, find_snapshot
from llmops.registry.manifest import DataUsed, Manifest
from llmops.runner.record import read_run
from llmops.spec.load import resolve_path


class Sources:
    """Adds what versions were made of to a graph, each version once. full: with the ids of events
    and answers."""

    def __init__(self, graph: Graph, project: Project, *, full: bool = False) -> None:
        self._graph, self._project, self._full = graph, project, full

    def follow(self, version: str) -> None:
        """A version with its sources, parents and bases, and theirs."""
        todo, seen = [version], {version}
        while todo:
            manifest = self._version(todo.pop(0))
            if manifest is None:
                continue
            self._made(manifest)
            for parent in self._parents(manifest):
                if parent not in seen:
                    seen.add(parent)
                    todo.append(parent)

    def version(self, id: str, **facts: str) -> str:
        """The node of a version, without what it was made of."""
        versions = self._project.versions
        if (one := versions.origins.get(id)) is not None:
            return self._known(id, one, "deleted" if one.deleted else "", **facts)
        state = "unreadable" if id in versions.unreadable else "missing"
        return self._graph.node(id, "version", id, state, **facts)

    def _version(self, id: str) -> Manifest | None:
        """Its manifest, where there is one; its node in any case."""
        if id.startswith(("path:", "hub:")):
            self._graph.node(id, "model", id, self._project.state_of_model(id))
            return None
        try:
            found = self._project.versions.find(id)
        except LlmopsError as error:
            self._graph.node(id, "version", id, "unreadable")
            self._graph.notes.append(error.line)
            return None
        if found is None:
            self._graph.node(id, "version", id, "missing")
            return None
        self._known(id, *found)
        return found[0]

    def _known(self, id: str, one: Manifest | Origin, state: str, **facts: str) -> str:
        return self._graph.node(
            *(id, "version", id, state),
            stage=one.stage,
            kind=one.kind,
            lora_rank=one.lora_rank,
            created=one.created,
            digest=one.digest,
            **facts,
        )

    def _parents(self, manifest: Manifest) -> list[str]:
        """The ids of what it was trained from and of its base, joined to it."""
        here, found = str(manifest.id), []
        steps = (
            (manifest.lineage.parent, parent_relation(manifest.stage), None),
            (manifest.base, "base", manifest.base_digest),
        )
        for id, relation, digest in steps:
            if id:
                self._version(id)
                self._graph.edge(id, here, relation, digest=digest)
                found.append(id)
        return found

    def _made(self, manifest: Manifest) -> None:
        here, made = str(manifest.id), manifest.lineage
        if made.recipe:
            state, changed = changes_of(manifest, self._project)
            node = self._graph.node(f"recipe:{made.recipe}", "recipe", made.recipe, state)
            self._graph.edge(node, here, "recipe", changed=changed)
        if made.run:
            node = self._run(made.run)
            self._graph.edge(node, here, "made by", stage=made.stage, attempt=made.attempt)
        if made.imported_from:
            there = (self._project.paths.root / made.imported_from).exists()
            node = self._graph.node(
                f"path:{made.imported_from}",
                "model",
                made.imported_from,
                "" if there else "missing",
            )
            self._graph.edge(node, here, "imported from")
        for data in made.data:
            self._data(here, data)
        for place, digest in held_out(manifest.parts).items():
            self._graph.edge(self._held(manifest, place, digest), here, "validated with")

    def _held(self, manifest: Manifest, place: int, digest: str) -> str:
        """The node of what a version was validated with, by the name that its recipe gave it."""
        paths, listed = self._project.paths, manifest.lineage.resolved.get("data", {})
        named = (listed.get("validation") or [])[place:][:1] or ["?"]
        given = named[0] if isinstance(named[0], dict) else {"path": named[0]}
        text = str(given.get("path", "")).removeprefix("path:")
        name = given.get("preferences") or text.removeprefix("preferences:")
        if "preferences" in given or name != text:
            for one in self._project.snapshots(self._graph.notes):
                found = one.manifest.name, one.manifest.files[HOLDOUT]
                if found == (str(name).partition("@")[0], digest):
                    return self.snapshot(one.id, one)
            return self._graph.node(f"preferences:{name}", "preferences", str(name), "missing")
        beside = paths.root / (manifest.lineage.recipe or "-")
        file = resolve_path(text, beside=beside, root=paths.root)
        if file is not None and file.is_relative_to(paths.root):
            text = str(file.relative_to(paths.root))
        return self.file(text, digest)

    def _run(self, id: str) -> str:
        record = read_run(self._project.paths.run(id))
        if record is None:
            return self._graph.node(f"run:{id}", "run", id, "missing")
        return self._graph.node(
            f"run:{id}", "run", id, outcome=record.state, by=record.by, started=record.started
        )

    def _data(self, version: str, data: DataUsed) -> None:
        snapshot = snapshot_of(data.path, self._project.paths)
        node = self.snapshot(snapshot) if snapshot else self.file(data.path, data.sha256)
        self._graph.edge(node, version, "trained on", samples=data.samples, sha256=data.sha256)

    def file(self, path: str, sha256: str) -> str:
        """The node of a data file as it was used."""
        state, now = self._project.state_of_file(path, sha256)
        return self._graph.node(
            f"data:{path}#{sha256[:12]}", "data", path, state, sha256=sha256, sha256_now=now
        )

    def snapshot(self, id: str, found: Snapshot | None = None) -> str:
        """The node of a snapshot, with the pairs and the feedback behind it."""
        if id in self._graph:
            return id
        try:
            one = found or find_snapshot(id.removeprefix("preferences:"), self._project.paths)
        except LlmopsError as error:
            state = "missing" if isinstance(error, NotFound) else "unreadable"
            return self._graph.node(id, "preferences", id, state)
        self._graph.node(id, "preferences", id, _state(one), **snapshot_facts(one))
        add_behind(self._graph, one, self._project, full=self._full)
        return id


def _state(snapshot: Snapshot) -> str:
    if any(not (snapshot.directory / name).is_file() for name in (TRAIN, HOLDOUT)):
        return "missing"
    return "erased" if snapshot.manifest.tombstones else ""


def snapshot_facts(snapshot: Snapshot) -> dict[str, Any]:
    """What is told of a snapshot."""
    one = snapshot.manifest
    return {
        **snapshot.counts,
        "erased": sum(gone.pairs for gone in one.tombstones) or None,
        "deployment": one.deployment,
        "digest": one.digest,
        "created": one.created,
        "run": one.run,
        "simulated": one.simulated or None,
    }
