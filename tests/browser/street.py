"""Everything that a browser needs to look at: a project that has been used for two weeks
(project.py), and in front of it the real processes, each on a free loopback port: `llmops gateway`,
`llmops control`, `llmops ui`. Only the model is not one: a backend on loopback that the tests own
(townsfolk.py) speaks OpenAI's protocol in its place.

    python -m tests.browser.street DIR [--live] [--without control|ui]

makes the project in DIR, or goes on with the one that is there, starts it all, prints the URLs, and
stops it with Ctrl-C. --live: a run in hand besides, with moving curves (it holds the device until
it is stopped). --without: for who starts that part by hand. What the processes say is in DIR.log/.
"""

import argparse
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from llmops.runner.record import list_runs
from llmops.serving.state import read_state
from llmops.store.paths import ProjectPaths
from tests.browser.history import write_history
from tests.browser.project import make_project, serve_from
from tests.browser.townsfolk import Townsfolk
from tests.conftest import ROOT, run_llmops
from tests.fast.backend_server import BackendServer
from tests.fast.protocol_server import closed_port
from tests.processes import end_of
from tests.waiting import until

START_SECONDS = 90.0
HOOK_SECRET = "a secret that only the street's callers know"


@dataclass
class Street:
    """root: the project; the URLs of what runs in front of it."""

    root: Path
    logs: Path
    gateway: str = ""
    control: str = ""
    ui: str = ""
    processes: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)
    commands: dict[str, tuple[object, ...]] = field(default_factory=dict)

    @property
    def paths(self) -> ProjectPaths:
        return ProjectPaths(self.root)

    def api(self, method: str, path: str, **kwargs: Any) -> Any:
        """What the control API says, as the tests ask it besides the browser."""
        with httpx.Client(base_url=self.control, trust_env=False, timeout=60) as client:
            answer = client.request(method, path, **kwargs)
        answer.raise_for_status()
        return answer.json()

    def llmops(self, *args: object) -> str:
        """The command, as somebody else gives it at a terminal; what it printed."""
        done = run_llmops(*args, cwd=self.root, env=_environment())
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def said(self, name: str) -> str:
        """What a process of the street said, or all that had its name."""
        file = self.logs / f"{name}.log"
        return file.read_text("utf-8", errors="replace") if file.exists() else ""

    def start(self, name: str, *argv: object, cwd: Path | None = None) -> "subprocess.Popen[bytes]":
        """A process of the street, in a group of its own; ended with the street."""
        self.commands[name] = argv
        with (self.logs / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, *map(str, argv)],
                cwd=cwd or self.root,
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.processes[name] = process
        return process

    def start_live(self) -> str:
        """A run in hand (training.py); its id. It holds the device until it is stopped."""
        before = len(self.said("live").split())
        process = self.start("live", "-m", "tests.browser.training", self.root, cwd=ROOT)
        until(lambda: len(self.said("live").split()) > before, START_SECONDS, process)
        return self.said("live").split()[-1]

    def restart(self, name: str) -> None:
        """Start `control` or `ui` again, where it was."""
        self.start(name, *self.commands[name])
        self.await_url(name, getattr(self, name), "/healthz")

    def stop(self, name: str, number: int = signal.SIGTERM, seconds: float = 20.0) -> None:
        process = self.processes.pop(name)
        if process.poll() is None:
            process.send_signal(number)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def await_url(self, name: str, url: str, path: str) -> None:
        """Until a server answers. Fails with what its process said."""

        def answers() -> bool:
            try:
                return client.get(url + path).status_code < 500
            except httpx.TransportError:
                return False

        with httpx.Client(trust_env=False, timeout=5) as client:
            try:
                until(answers, START_SECONDS, self.processes[name])
            except AssertionError as error:
                raise AssertionError(f"{name}: {error}\n{self.said(name)[-4000:]}") from error


def _environment() -> dict[str, str]:
    told = {"LLMOPS_HOOK_SECRET": HOOK_SECRET, "GRADIO_ANALYTICS_ENABLED": "False"}
    quiet = {"NO_PROXY": "127.0.0.1,localhost", "PYTHONUNBUFFERED": "1"}
    return {**os.environ, **told, **quiet}


@contextmanager
def street(
    root: Path, *, live: bool = False, hostile: bool = True, without: Collection[str] = ()
) -> Iterator[Street]:
    """Started, and stopped at the end whatever became of it. hostile: as in make_project, of a
    project that is new; without: `control`, `ui`."""
    made = not (root / "llmops.toml").exists()
    if made:
        with ThreadPoolExecutor(1) as elsewhere:  # Playwright's loop runs in the tests' thread
            elsewhere.submit(make_project, root, hostile=hostile).result()
    found = Street(root, root.with_name(f"{root.name}.log"))
    found.logs.mkdir(exist_ok=True)
    with ExitStack() as stack:
        serve_from(root, stack.enter_context(_backend()))
        stack.callback(_stop_all, found)
        _start_gateway(found)
        if made:
            _use(found, ["simulate", "eval"] if hostile else ["eval"])
        if "control" not in without:
            _start_control(found)
            if made:
                _decide(found)
        if "ui" not in without:
            _start_ui(found)
        if live:
            found.start_live()
        yield found


@contextmanager
def faces(root: Path, gateway: str = "") -> Iterator[Street]:
    """Control and UI alone, of a project as it is. gateway: the URL of one that serves it."""
    found = Street(root, root.with_name(f"{root.name}.log"), gateway)
    found.logs.mkdir(exist_ok=True)
    try:
        _start_control(found)
        _start_ui(found)
        yield found
    finally:
        _stop_all(found)


@contextmanager
def _backend() -> Iterator[str]:
    """The URL of what stands for the model; in a thread of its own, for the same reason."""
    backend, ready, over = BackendServer(), threading.Event(), threading.Event()
    backend.answer = Townsfolk(0.03).answer

    def serve() -> None:
        with backend.running():
            ready.set()
            over.wait()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        assert ready.wait(START_SECONDS)
        yield backend.url
    finally:
        over.set()
        thread.join()


def _start_gateway(found: Street) -> None:
    process = found.start("gateway", "-m", "llmops", "gateway", "serving/town.yaml")
    place = found.paths.deployment("town")

    def ready() -> str | None:
        state = read_state(place)
        return state.url if state is not None and state.status == "ready" else None

    try:
        found.gateway = until(ready, START_SECONDS, process) or ""
    except AssertionError as error:
        raise AssertionError(f"gateway: {error}\n{found.said('gateway')[-4000:]}") from error


def _use(found: Street, recipes: list[str]) -> None:
    """What needs a server: simulated users, an evaluation of the candidate; as runs."""
    for recipe in recipes:
        process = found.start(recipe, "-m", "llmops", "run", f"recipes/{recipe}.yaml")
        code = process.wait(START_SECONDS)
        assert code == 0, found.said(recipe)[-4000:]


def _decide(found: Street) -> None:
    """What needs control: a run that waits for a person, a schedule that somebody paused."""
    found.api("POST", "/schedules/pairs/monthly/run")
    until(lambda: found.api("GET", "/approvals")["items"], START_SECONDS)
    found.api("POST", "/schedules/weekly/cron/pause", json={"why": "the team is away"})
    with ThreadPoolExecutor(1) as elsewhere:  # as above
        today = elsewhere.submit(
            write_history, found.root, "town:v1", ("town:v2", "town:v3"), days=0.3
        )
        today.result()


def _start_control(found: Street) -> None:
    port = closed_port()
    found.control = f"http://127.0.0.1:{port}"
    found.start("control", "-m", "llmops", "control", "--port", port)
    found.await_url("control", found.control, "/healthz")


def _start_ui(found: Street) -> None:
    port = closed_port()
    found.ui = f"http://127.0.0.1:{port}"
    gateway = ["--gateway", found.gateway] if found.gateway else []
    where = ["--control", found.control, *gateway, "--port", port]
    found.start("ui", "-m", "llmops", "ui", *where)
    found.await_url("ui", found.ui, "/")


def _stop_all(found: Street) -> None:
    """The processes, then the runs that control started: those outlive it."""
    for name in reversed(list(found.processes)):
        found.stop(name)
    left = [run.pid for run in list_runs(found.paths) if run.state == "running"]
    for pid in left:
        os.kill(pid, signal.SIGTERM)
    assert end_of(left) == []


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dir", type=Path)
    parser.add_argument("--live", action="store_true")
    parser.add_argument("--without", action="append", default=[], choices=["control", "ui"])
    given = parser.parse_args()
    root, stop = given.dir.resolve(), threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with street(root, live=given.live, without=given.without) as found:
        print(f"project {root}\nlogs    {found.logs}", flush=True)
        print(f"gateway {found.gateway}\ncontrol {found.control}\nui      {found.ui}", flush=True)
        stop.wait()


if __name__ == "__main__":
    main()
