"""The gateway of a deployment, as its supervisor keeps it: a process of its own, under a guard.

It is started again at once when it ends, at the place where it was; only one that ends again and
again is made to wait, a little longer each time.
"""

import time
from pathlib import Path

from llmops.engines.contract import Command
from llmops.errors import Failed
from llmops.runner.process import interpreter
from llmops.serving.endpoint import Endpoint
from llmops.serving.listen import Place
from llmops.serving.readiness import Report
from llmops.serving.server import ServerProcess
from llmops.spec.source import display

START_SECONDS = 60.0
FOLLOW_SECONDS = 10.0
_STEADY = 10.0
_LONGEST_DELAY = 5.0


class GatewayProcess:
    """place: where it listens, its port decided. log: its own; begins anew with `start`."""

    def __init__(self, name: str, place: Place, root: Path, log: Path, report: Report) -> None:
        self.place = place
        self.restarts = 0
        self._name = name
        self._root = root
        self._log = log
        self._report = report
        self._process = ServerProcess(place, log, root)
        self._started = 0.0
        self._delay = 0.0
        self._ended: float | None = None

    @property
    def endpoint(self) -> Endpoint:
        return self.place.endpoint

    @property
    def pid(self) -> int | None:
        """Of its process group, while it runs."""
        return self._process.pid

    def start(self) -> None:
        self._log.parent.mkdir(parents=True, exist_ok=True)
        self._log.write_bytes(b"")
        self._launch()

    def keep(self) -> None:
        """Start it again if it has ended. To be called often."""
        now = time.monotonic()
        if self._ended is None:
            code = self._process.wait(0)
            if code is None:
                return
            self._process.stop()
            self._ended = now
            steady = now - self._started >= _STEADY
            self._delay = 0.0 if steady else min(max(0.2, self._delay * 2), _LONGEST_DELAY)
            if steady or self.restarts == 0:
                self._delay = 0.0
            self._report(
                f"the gateway ended with exit code {code}; starting it again"
                + (f" in {self._delay:.1f} s" if self._delay else "")
                + f" ({display(self._log)})"
            )
        if now - self._ended >= self._delay:
            self.restarts += 1
            self._launch()

    def is_healthy(self) -> bool:
        """Whether it answers now that it is."""
        import httpx

        if not self.endpoint.listens():
            return False
        try:
            with self.endpoint.client(timeout=2.0) as client:
                return client.get("/healthz").status_code == 200
        except httpx.TransportError:
            return False

    def await_healthy(self) -> None:
        """Raises Failed when it ends, or does not answer in time."""
        deadline = time.monotonic() + START_SECONDS
        while not self.is_healthy():
            if self._process.wait(0.05) is not None:
                raise self._process.ended("the gateway ended while it was starting")
            if time.monotonic() > deadline:
                raise self._process.failed(
                    f"the gateway was not healthy after {START_SECONDS:.0f} s"
                )

    def await_generation(self, generation: int) -> None:
        """Until it follows the routing table as far as that. Raises Failed when it does not."""
        from llmops.serving.endpoint import get

        deadline = time.monotonic() + FOLLOW_SECONDS
        while True:
            problem = "it has not read the routing table"
            try:
                with self.endpoint.client(timeout=2.0) as client:
                    told = get(client, "/readyz")
            except Failed as error:
                problem = error.what
            else:
                if told["ready"] and (told["generation"] or 0) >= generation:
                    return
                problem = "; ".join(told["problems"]) or problem
            if time.monotonic() > deadline:
                raise Failed(f"the gateway is not ready: {problem}", where=display(self._log))
            self.keep()
            time.sleep(0.02)

    def wait(self, seconds: float) -> int | None:
        """Its exit code, if it ends within so long."""
        return self._process.wait(seconds)

    def stop(self) -> None:
        """Answers under way have the guard's grace to end."""
        self._process.stop()

    def _launch(self) -> None:
        argv = interpreter("llmops.gateway", "--root", str(self._root), "--deployment", self._name)
        if self.place.uds is not None:
            argv += ["--uds", str(self.place.uds)]
        else:
            argv += ["--host", self.place.host, "--port", str(self.place.port)]
        self._process.start(Command(argv=argv, env={}, files={}))
        self._started = time.monotonic()
        self._ended = None
