"""The file that declares a deployment: in serving/, in a folder below it, or wherever it was
started from last. What lies below is no part of what the project serves until somebody names it."""

from pathlib import Path

from llmops.errors import BadInput, NotFound
from llmops.serving.state import last_state
from llmops.spec.deployment import Deployment
from llmops.spec.deployments import FOLDER, declared
from llmops.spec.load import Loaded, load_deployment
from llmops.spec.settings import Settings
from llmops.spec.source import display, read_source
from llmops.spec.suggest import did_you_mean
from llmops.store.paths import ProjectPaths


def find_deployment(
    name: str, settings: Settings, *, where: str = "", fix: str = ""
) -> Loaded[Deployment]:
    """The deployment of that name. where: who asks, for errors; fix: what else they may do.

    Raises NotFound when there is none, or more than one.
    """
    known = declared(settings.root)
    found = known.find(name)
    if found is not None:
        return found
    for file in _elsewhere(name, settings.root):
        loaded = load_deployment(file)
        if loaded.spec.name == name:
            return loaded
    fix = did_you_mean(name, (one.spec.name for one in known.loaded)) or fix
    if known.problems:
        fix = f"{fix}\n  {known.problems[0]}".strip()
    raise NotFound(
        f"there is no deployment `{name}`: no file in serving/ declares the deployment `{name}`",
        where=where or display(settings.root / FOLDER),
        fix=fix or "declare it in serving/",
    )


def _elsewhere(name: str, root: Path) -> list[Path]:
    """The files outside of serving/ itself that may declare it."""
    started = _started_from(name, root)
    below = (root / FOLDER).glob("*/*.y*ml")
    return [started] if started is not None else sorted(f for f in below if _says(f, name))


def _says(file: Path, name: str) -> bool:
    try:
        return read_source(file).data.get("name") == name
    except BadInput:
        return False


def _started_from(name: str, root: Path) -> Path | None:
    """The file outside serving/ that it was served from last, if that is still there."""
    state = last_state(ProjectPaths(root).deployment(name))
    if state is None or not state.file:
        return None
    file = root / state.file
    return file if file.is_file() and file.parent != root / FOLDER else None
