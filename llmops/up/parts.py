"""The parts that `llmops up` keeps, in the order in which they are started."""

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from llmops.control.presence import present
from llmops.registry.store import Registry
from llmops.runner.process import interpreter
from llmops.serving.listen import Place
from llmops.serving.state import read_state
from llmops.spec.deployment import Deployment
from llmops.spec.load import Loaded
from llmops.spec.reference import Reference, parse_reference
from llmops.spec.settings import Settings
from llmops.store.paths import ProjectPaths
from llmops.up.answers import over_http
from llmops.up.part import Part

SERVE_GRACE = 45.0
"""Seconds: the gateway ends its answers, then the backends end, each with a grace of its own."""
CONTROL_GRACE = 15.0

NEEDS = {"ui": "gradio", "tensorboard": "tensorboard"}
"""Parts that need a package of the extra `ui`."""


def missing(name: str) -> str:
    """Why a part cannot be had in this installation; empty when it can."""
    package = NEEDS.get(name)
    if package is None or importlib.util.find_spec(package) is not None:
        return ""
    return f'{name} needs {package}: pip install "llmops-flywheel[ui]"'


def gateway_url(loaded: Loaded[Deployment], settings: Settings) -> str | None:
    """Where its gateway answers over TCP; None when that is a socket, or any free port."""
    state = read_state(ProjectPaths(settings.root).deployment(loaded.spec.name))
    if state is not None:
        return None if state.uds else state.url
    place = Place.of(loaded.spec.listen, settings.root)
    return None if place.uds is not None or place.port == 0 else place.endpoint.url


def serve(loaded: Loaded[Deployment], settings: Settings) -> Part:
    """The deployment, once one of its variants names something."""
    paths = ProjectPaths(settings.root)
    name = loaded.spec.name
    place = paths.deployment(name)
    endpoint = Place.of(loaded.spec.listen, settings.root).endpoint

    def answers() -> str | None:
        state = read_state(place)
        return None if state is None or state.status == "starting" else state.status

    def holder() -> int | None:
        state = read_state(place)
        return None if state is None else state.pid

    def url() -> str:
        """Any free port is known once it is taken."""
        state = read_state(place)
        declared = "" if endpoint.url.endswith(":0") else str(endpoint)
        return declared if state is None else str(state.endpoint)

    return Part(
        name="serve",
        argv=interpreter("llmops", "serve", str(loaded.path.resolve())),
        log=paths.part_log("serve"),
        url=url,
        answers=answers,
        holder=holder,
        awaits=lambda: awaited(loaded.spec, Registry(paths)),
        grace=SERVE_GRACE,
    )


def control(settings: Settings, url: str) -> Part:
    """What it starts (runs, deployments) outlives it."""
    port = url.rpartition(":")[2]
    return _announced("control", ["control", "--port", port], settings, url, group=True)


def ui(settings: Settings, url: str, control_url: str, gateway: str | None) -> Part:
    port = url.rpartition(":")[2]
    args = ["ui", "--control", control_url, "--port", port]
    return _announced("ui", [*args, *(["--gateway", gateway] if gateway else [])], settings, url)


def tensorboard(settings: Settings, url: str) -> Part:
    """Over the curves of all runs."""
    paths = ProjectPaths(settings.root)
    return Part(
        name="tensorboard",
        argv=tensorboard_argv(paths, int(url.rpartition(":")[2])),
        log=paths.part_log("tensorboard"),
        url=lambda: url,
        answers=over_http(url, "/"),
        grace=5.0,
    )


def tensorboard_argv(paths: ProjectPaths, port: int, runs: Sequence[str] = ()) -> list[str]:
    """Over all runs in one tree, or some. One is a tree of its own; of several each has a name."""
    chosen = {run: str(paths.run(run).root) for run in runs}
    where = ["--logdir", str(paths.runs)]
    if len(chosen) == 1:
        where = ["--logdir", *chosen.values()]
    elif chosen:
        where = ["--logdir_spec", ",".join(f"{run}:{root}" for run, root in chosen.items())]
    argv = interpreter("tensorboard.main", *where)
    return [*argv, "--host", "127.0.0.1", "--port", str(port)]


def after(part: Part, ready: Callable[[], bool], what: str) -> Part:
    """The part, started only once another one is ready: they would take each other's time."""
    return replace(part, awaits=lambda: "" if ready() else what)


def awaited(spec: Deployment, registry: Registry) -> str:
    """The version or alias that must be there before anything can be served; empty when there is
    something."""
    models = [variant.model for variant in spec.variants.values()]
    references = [_reference(model) for model in models]
    if any(one is None or _names_something(one, registry) for one in references):
        return ""
    return f"{references[0]} names nothing yet"


def _reference(model: str | None) -> Reference | None:
    """None for what is not in the registry; whether it can be served, `llmops serve` says."""
    try:
        found = parse_reference(model or "")
    except ValueError:
        return None
    return found if found.scheme in ("alias", "version") else None


def _names_something(one: Reference, registry: Registry) -> bool:
    if one.scheme == "alias":
        return one.part in registry.aliases(one.target)
    return int(one.part) in registry.numbers(one.target)


def _announced(
    name: str, args: Sequence[str], settings: Settings, url: str, *, group: bool = False
) -> Part:
    """A part that says who it is in its file (control/presence.py)."""
    paths = ProjectPaths(settings.root)

    def holder() -> int | None:
        found: Mapping[str, object] | None = present(paths, name)
        return None if found is None else int(str(found["pid"]))

    return Part(
        name=name,
        argv=interpreter("llmops", *args),
        log=paths.part_log(name),
        url=lambda: url,
        answers=over_http(url, "/healthz"),
        holder=holder,
        grace=CONTROL_GRACE,
        group=group,
    )
