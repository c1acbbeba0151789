"""Everything of a project, kept running in the foreground: what `llmops up` does.

The parts are processes of their own (up/parts.py). When this one is killed, their guards end them;
runs are no parts, and go on. Ctrl-C or SIGTERM ends the parts in order; a second one ends them now.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from llmops.control.presence import present
from llmops.errors import BadInput, Failed, LlmopsError, Waiting
from llmops.registry.store import Registry
from llmops.runner.record import list_runs
from llmops.serving.leftovers import await_gone
from llmops.spec.deployment import OpenAIBackend
from llmops.spec.settings import Settings
from llmops.spec.source import display
from llmops.store.paths import ProjectPaths
from llmops.up import parts, ports
from llmops.up.chosen import Chosen, choose
from llmops.up.first import FirstRun
from llmops.up.interrupts import Interrupts
from llmops.up.line import StatusLine
from llmops.up.part import Kept, Part
from llmops.up.record import NAME, UpFile, last_up, read_up
from llmops.up.runs import RunsShown

if TYPE_CHECKING:
    from filelock import FileLock

PULSE = 0.2
"""Seconds between two looks at the parts."""
DRAIN = ("ui", "control", "serve", "tensorboard")
"""In this order they end: who asks before who answers."""


@dataclass(frozen=True)
class Options:
    """ports: by part, as ports.url_of takes them; without: parts that are left out."""

    ports: Mapping[str, int | None] = field(default_factory=dict)
    without: Sequence[str] = ()


def up(files: Sequence[Path], settings: Settings, options: Options, line: StatusLine) -> None:
    """Keep the parts running until told to stop. Raises BadInput before anything is started."""
    paths = ProjectPaths(settings.root)
    chosen = choose(files, settings.root)
    _require_backend(chosen, settings, options)
    lock = _only_one(paths)
    try:
        before = last_up(paths)
        if before is not None:
            await_gone(before.groups)
        Up(chosen, settings, options, line).run()
    finally:
        lock.release()


class Up:
    """The parts of one project."""

    def __init__(
        self, chosen: Chosen, settings: Settings, options: Options, line: StatusLine
    ) -> None:
        self._chosen = chosen
        self._settings = settings
        self._paths = ProjectPaths(settings.root)
        self._line = line
        self._control = self._url("control", options)
        declared = self._declared(options)
        self._kept = [Kept(part, settings.root, line.say) for part in declared]
        self._first = (
            FirstRun(self._control, chosen.pipeline.path, settings.root)
            if chosen.pipeline is not None
            else None
        )
        self._greeted = False
        self._problems: list[str] = []
        self._runs = RunsShown(self._paths)
        self._file = UpFile(
            self._paths,
            self._control,
            display(chosen.pipeline.path) if chosen.pipeline else "",
            display(chosen.deployment.path) if chosen.deployment else "",
        )

    def run(self) -> None:
        """Until it is told to stop."""
        with Interrupts() as interrupts:
            try:
                while not interrupts.count:
                    self._step()
                    self._greet()
                    interrupts.pause(PULSE)
            finally:
                self._line.say("stopping; once more Ctrl-C ends it now")
                self._drain(interrupts)
                self._line.end()
        self._tell_what_goes_on()

    def _greet(self) -> None:
        """Say once where to look, when all is there that can be."""
        states = ("ready", "elsewhere", "waiting")
        if self._greeted or any(kept.state not in states for kept in self._kept):
            return
        self._greeted = True
        urls = {kept.part.name: kept.url for kept in self._kept}
        self._line.say(f"open {urls['ui']} in a browser" if "ui" in urls else "all is there")

    def _step(self) -> None:
        """A full disk, or a damaged file, is no reason to end what runs: it is told once."""
        due = [*(kept.step for kept in self._kept), self._begin_first, self._write]
        problems = [problem for one in due if (problem := _tried(one))]
        for problem in problems:
            if problem not in self._problems:
                self._line.say(f"warning: {problem}")
        self._problems = problems
        self._line.show(self._kept, self._runs.shown())

    def _write(self) -> None:
        self._file.write(self._kept)

    def _drain(self, interrupts: Interrupts) -> None:
        order = sorted(self._kept, key=lambda kept: DRAIN.index(kept.part.name))
        for kept in order:
            kept.stop()
            while not kept.gone():
                if interrupts.count > 1:
                    for one in order:
                        one.kill()
                _tried(self._write)
                self._line.show(self._kept)
                interrupts.pause(PULSE / 4)
        self._file.remove()

    def _begin_first(self) -> None:
        """Ask for the pipeline's first run, where there is nothing to serve yet."""
        deployment = self._chosen.deployment
        if self._first is None or not self._is_ready("control"):
            return
        if deployment is None or not parts.awaited(deployment.spec, Registry(self._paths)):
            self._first = None
            return
        try:
            run, asked = self._first.begin()
        except Waiting:
            return
        except Failed as error:
            self._line.say(f"the pipeline cannot be run: {error}")
        else:
            told = "makes the first version" if asked else "is on its way"
            self._line.say(f"run {run} {told}: llmops runs events {run}")
        self._first = None

    def _is_ready(self, name: str) -> bool:
        return any(k.part.name == name and k.state in ("ready", "elsewhere") for k in self._kept)

    def _declared(self, options: Options) -> list[Part]:
        settings, deployment = self._settings, self._chosen.deployment
        found = []
        if deployment is not None and "serve" not in options.without:
            found.append(parts.serve(deployment, settings))
        found.append(parts.control(settings, self._control))
        for name in ("ui", "tensorboard"):
            problem = parts.missing(name)
            if problem:
                self._line.say(problem)
            if problem or name in options.without:
                continue
            url = self._url(name, options)
            gateway = parts.gateway_url(deployment, settings) if deployment else None
            if name == "ui":
                part = parts.ui(settings, url, self._control, gateway)
            else:
                part = parts.tensorboard(settings, url)
            found.append(parts.after(part, self._before(name), "waits its turn"))
        return found

    def _before(self, name: str) -> Callable[[], bool]:
        """Whether a part's turn has come: what starts takes the time of what answers first."""
        if name == "ui":
            return lambda: self._is_ready("control")
        return lambda: self._is_ready("control") and not self._is_starting("serve")

    def _is_starting(self, name: str) -> bool:
        return any(k.part.name == name and k.state == "starting" for k in self._kept)

    def _url(self, name: str, options: Options) -> str:
        """Of one that runs already, or where ours will listen."""
        there = present(self._paths, name)
        if there is not None:
            return str(there["url"])
        return ports.url_of(name, options.ports.get(name), self._line.say)

    def _tell_what_goes_on(self) -> None:
        running = [run.id for run in list_runs(self._paths) if run.state == "running"]
        for run in running:
            self._line.say(f"run {run} goes on; `llmops runs stop {run}` stops it")


def _tried(what: Callable[[], None]) -> str:
    """What stood against it; empty when nothing did."""
    try:
        what()
    except (LlmopsError, OSError) as error:
        return str(error)
    return ""


def _require_backend(chosen: Chosen, settings: Settings, options: Options) -> None:
    """The deployment's engine is installed, and its place is free."""
    deployment = chosen.deployment
    if deployment is None or "serve" in options.without:
        return
    from llmops.environments.environment import find
    from llmops.serving.listen import Place
    from llmops.serving.state import read_state

    if not isinstance(deployment.spec.backend, OpenAIBackend):
        find("vllm", settings)
    if read_state(ProjectPaths(settings.root).deployment(deployment.spec.name)) is None:
        place = Place.of(deployment.spec.listen, settings.root)
        try:
            place.claim()
        except BadInput as error:
            where = deployment.source.where(("listen",))
            fix = "stop that, or set `listen.port` in the deployment"
            raise BadInput(error.what, where=where, fix=fix) from None


def _only_one(paths: ProjectPaths) -> "FileLock":
    """Held while this project is up. Raises BadInput when it is already."""
    from filelock import FileLock, Timeout

    lock = FileLock(paths.lock(NAME), thread_local=False)
    paths.locks.mkdir(parents=True, exist_ok=True)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        there = read_up(paths)
        told = f", by process {there.pid}, at {there.url}" if there else ""
        raise BadInput(
            f"this project is up already{told}",
            where=display(paths.root),
            fix="`llmops status` shows it, `llmops down` ends it",
        ) from None
    return lock
