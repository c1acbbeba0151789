"""`llmops lineage --data FILE`: the versions that a file went into, by its content and its path."""

import os
from pathlib import Path

from llmops.errors import BadInput, NotFound
from llmops.lineage.graph import Graph
from llmops.lineage.project import Project
from llmops.lineage.touched import Touched
from llmops.lineage.versions import snapshot_of
from llmops.preferences.snapshot import HOLDOUT, TRAIN, Snapshot, find_snapshot
from llmops.spec.suggest import did_you_mean


def of_data(text: str, project: Project) -> Graph:
    """text: a file, also one that is gone, `preferences:NAME[@N]`, or another reference as recipes
    name data. Raises NotFound for what neither is there nor went into anything, BadInput for a
    directory."""
    touched, text = Touched(project), text.removeprefix("path:")
    graph = touched.graph
    if text.startswith("preferences:"):
        found = find_snapshot(text.removeprefix("preferences:"), project.paths)
        graph.about.append(_all_of(found, touched))
        return touched.finished()
    path, file = _placed(text, project)
    digest = project.digest(file)
    node = f"data:{path}" + (f"#{digest[:12]}" if digest else "")
    graph.node(node, "data", path, "" if digest else "missing", sha256=digest)
    graph.about.append(node)
    own = snapshot_of(path, project.paths)
    for one in project.snapshots(graph.notes):
        train = {one.manifest.files[TRAIN], *(gone.train for gone in one.manifest.tombstones)}
        held = digest == one.manifest.files[HOLDOUT]
        if one.id == own or digest in train or held:
            counts = one.counts
            touched.snapshot(
                node, one, 0 if held else counts["train"], counts["holdout"] if held else 0
            )
    for use in project.versions.using(paths=[path, text], digests=[digest] if digest else []):
        if snapshot_of(use.used.path, project.paths) is None:
            source = _as_used(use.used.path or path, use.used.sha256, node, digest, touched)
            touched.use(source, use.version, use.used.role, samples=use.used.samples or None)
    if digest is None and not list(graph.out(node)):
        raise _no_file(text, path, project)
    return touched.finished()


def _no_file(text: str, path: str, project: Project) -> NotFound:
    return NotFound(
        f"there is no file `{text}`, and nothing was ever trained on one",
        fix=did_you_mean(path, project.versions.data_paths),
    )


def _placed(text: str, project: Project) -> tuple[str, Path]:
    """As manifests name it, and where it is: below the working directory, else the project."""
    root = project.paths.root
    if text.startswith("hub:"):
        return text, root / text
    # os.path has no error for what can be no name of a file.
    file = Path(os.path.expanduser(text)).absolute()
    if not os.path.exists(file) and os.path.exists(root / text):
        file = (root / text).absolute()
    if "\0" in text or not project.tells_of(file):
        raise _no_file(text, str(file), project)
    if os.path.isdir(file):
        raise BadInput(f"`{text}` is a directory", fix="name a file of it")
    for one in (file, file.resolve()):
        if one.is_relative_to(root):
            return str(one.relative_to(root)), file
    return str(file), file


def _as_used(path: str, sha256: str, asked: str, digest: str | None, touched: Touched) -> str:
    """The node of what a version was made of: the file itself, what it held before, or a copy."""
    if sha256 == digest and asked.startswith(f"data:{path}#"):
        return asked
    node = touched.sources.file(path, sha256)
    same = sha256 == digest
    touched.graph.edge(asked, node, "same content as" if same else "held other content:")
    return node


def _all_of(one: Snapshot, touched: Touched) -> str:
    """A snapshot with all who used it."""
    node = touched.sources.snapshot(one.id, one)
    for use in touched.project.versions.of_snapshot(one):
        touched.use(node, use.version, use.used.role, samples=use.used.samples or None)
    return node
