"""Starting and stopping deployments: `llmops serve` in processes of its own, which outlive this.

What it says goes to `.llmops/logs/serve-NAME.log`; once it stands, its state (serving/state.py) is
the truth about it. Of one that ended before that, the end of the log is told here.
"""

import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmops.control.deployments import deployments
from llmops.control.problems import conflict
from llmops.errors import NotFound
from llmops.serving.state import read_state
from llmops.spec.load import load_deployment
from llmops.spec.settings import Settings
from llmops.store.atomic import full_disk
from llmops.store.liveness import process_mark, terminate
from llmops.store.paths import ProjectPaths

TAIL_LINES = 15


@dataclass
class Started:
    """A supervisor that this process started. file: relative to the project."""

    popen: "subprocess.Popen[bytes]"
    file: str


class Deployer:
    """The deployments of a project, as this process starts and stops them."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._paths = ProjectPaths(settings.root)
        self._lock = threading.Lock()
        self._started: dict[str, Started] = {}

    def start(self, file: Path, overrides: Sequence[str], correlation: str) -> dict[str, Any]:
        """{name, pid, log}. Raises BadInput for a file that does not load, Refused (409) when it
        runs already."""
        name = load_deployment(file, overrides).spec.name
        with self._lock:
            there = self._started.get(name)
            if self._state(name) is not None or (there and there.popen.poll() is None):
                raise conflict(f"the deployment `{name}` runs already", fix="stop it first")
            shown = str(file.relative_to(self._settings.root.resolve()))
            log = self._log(name)
            popen = self._spawn(shown, overrides, log, correlation)
            self._started[name] = Started(popen, shown)
        return {"name": name, "pid": popen.pid, "log": str(log.relative_to(self._paths.root))}

    def stop(self, name: str) -> None:
        """Let it end in order, in its own time. Raises NotFound when it does not run."""
        state = self._state(name)
        with self._lock:
            there = self._started.get(name)
        if state is not None:
            terminate(state.pid, state.process_started)
        elif there is not None and there.popen.poll() is None:
            terminate(there.popen.pid, process_mark(there.popen.pid))
        else:
            raise NotFound(f"no deployment `{name}` runs")

    def listed(self) -> list[dict[str, Any]]:
        """As `deployments`, with those that are on their way, and why one did not get there."""
        found = deployments(self._settings)
        with self._lock:
            for one in found:
                there = self._started.get(one["name"])
                if there is not None and not one["running"]:
                    one.update(self._on_its_way(one, there))
        return found

    def close(self) -> None:
        """Leave them to themselves."""
        with self._lock:
            for one in self._started.values():
                one.popen.returncode = one.popen.poll() or 0  # or Popen warns of what still runs
            self._started = {}

    def _on_its_way(self, one: dict[str, Any], there: Started) -> dict[str, Any]:
        from llmops.runner.process import tail

        code = there.popen.poll()
        if code is None:
            return {"running": True, "status": "starting"}
        if code == 0:
            return {}
        said = tail(self._log(one["name"]), TAIL_LINES)
        return {"status": "failed", "problems": {**one.get("problems", {}), "start": said}}

    def _state(self, name: str) -> Any:
        return read_state(self._paths.deployment(name))

    def _log(self, name: str) -> Path:
        return self._paths.serve_log(name)

    def _spawn(
        self, file: str, overrides: Sequence[str], log: Path, correlation: str
    ) -> "subprocess.Popen[bytes]":
        with full_disk(log):
            log.parent.mkdir(parents=True, exist_ok=True)
            with log.open("ab") as output:
                return subprocess.Popen(
                    [sys.executable, "-P", "-m", "llmops", "serve", "--", file, *overrides],
                    cwd=self._settings.root,
                    env={**os.environ, "LLMOPS_CORRELATION_ID": correlation},
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
