"""One vLLM server: started, checked, given adapters, watched, started again, stopped.

A thread of its own does what takes long; its supervisor says what is wanted of it and looks at
what stands. Nothing here routes traffic: a backend that is not `open` is to get none.
"""

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from llmops.errors import Failed, LlmopsError
from llmops.serving import readiness
from llmops.serving.adapters import Adapters
from llmops.serving.backends import vllm
from llmops.serving.copies import Copies
from llmops.serving.patience import Patience
from llmops.serving.readiness import Report
from llmops.serving.served import Load, Served
from llmops.serving.server import ServerProcess

if TYPE_CHECKING:
    import httpx

Status = Literal["starting", "ready", "down", "held", "failed", "gone"]
Hold = Literal["stop", "sleep"]

_GATEWAYS_FOLLOW = 0.5
"""After so long no gateway sends anything to a backend that the routing table leaves out."""
_PULSE = 0.2
_HEALTH_EVERY = 0.5
_HEALTH_TIMEOUT = 5.0


@dataclass(frozen=True)
class Surroundings:
    """What a backend works with. root: the project's directory; log: of its own; on_change:
    called from its thread when something has changed; variants_of: a version's, for messages."""

    root: Path
    log: Path
    copies: Copies
    patience: Patience
    report: Report
    on_change: Callable[[], None]
    variants_of: Callable[[str], Sequence[str]]


class _Told(Exception):
    """It was told to stop while it was starting, which is no failure, also once it may go on."""


class Backend:
    """One server, over all its starts. failure: why there is none any more; leaving: whether it
    was told to stop for good."""

    def __init__(self, server: vllm.Server, around: Surroundings) -> None:
        """server: its load is the base, with the adapters that are loaded first."""
        self.base = server.load.base
        self.place = server.place
        self.status: Status = "starting"
        self.restarts = 0
        self.failure: LlmopsError | None = None
        self.adapters = Adapters(around.copies, self._check, around.report, around.on_change)
        self.adapters.want(server.load.adapters)
        self._server = server
        self._around = around
        self._process = ServerProcess(server.place, around.log, around.root)
        self._hold: Hold | None = None
        self.leaving = self._ending = self._asleep = False
        self._length: int | None = None
        self._copy: Path | None = None
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._live, name=f"backend {self.base.name}")

    @property
    def open(self) -> bool:
        """Whether it may be sent requests now."""
        return self.status == "ready" and self._hold is None and not self.leaving

    @property
    def pid(self) -> int | None:
        """Of its process group, while it runs."""
        return self._process.pid

    def start(self) -> None:
        self._thread.start()

    def want(self, adapters: Iterable[Served]) -> None:
        """What is to be loaded from now on. What is no longer wanted stays while there is room."""
        if self.adapters.want(adapters):
            self._wake.set()

    def hold(self, how: Hold | None) -> None:
        """Give the device back, as soon as answers under way have ended; None: take it again."""
        if how != self._hold:
            self._hold = how
            self._wake.set()

    def leave(self) -> None:
        """Stop for good, as soon as answers under way have ended."""
        self.leaving = True
        self._wake.set()

    def stop(self) -> None:
        """Stop at once; returns when nothing of it is left."""
        self._ending = True
        self._wake.set()
        self._process.stop()
        if self._thread.ident is not None:
            self._thread.join()

    def forget(self) -> None:
        """Remove its copies, once it is gone."""
        self.adapters.forget()
        if self._copy is not None:
            self._around.copies.remove(self._copy)

    def _live(self) -> None:
        try:
            self._over_and_over()
        except BaseException as error:  # a defect must not leave a backend that seems to be well
            self.failure = Failed(f"the keeper of the backend failed: {error!r}")
            self._become("failed")
            raise
        finally:
            self._process.stop()

    def _over_and_over(self) -> None:
        """Launch and look after it, until it is to end or cannot be started."""
        patience = self._around.patience
        crashes, delay, first = 0, patience.delay, True
        while not self._stopping():
            if self._hold is not None:
                self._rest()
                continue
            began = time.monotonic()
            try:
                self._launch(first)
                first, began = False, time.monotonic()
                self._look_after()
                continue
            except _Told:
                self._process.stop()
                continue
            except LlmopsError as error:
                problem = error
            self._process.stop()
            if self._stopping() or self._hold is not None:
                continue
            if not first and time.monotonic() - began >= patience.steady:
                crashes, delay = 0, patience.delay
            crashes += 1
            if first or crashes > patience.crashes:
                self._give_up(problem, crashes - 1)
                return
            self._around.report(f"{problem.what}; starting it again in {delay:.0f} s")
            self.restarts += 1
            self._become("down")
            self._pause(delay)
            delay = min(delay * 2, patience.longest_delay)
        self._process.stop()
        self._become("gone")

    def _give_up(self, error: LlmopsError, restarts: int) -> None:
        given_up = f"; given up after {restarts} restarts in a row" if restarts else ""
        self.failure = Failed(error.what + given_up, where=error.where, fix=error.fix)
        self._become("failed")

    def _launch(self, first: bool) -> None:
        """Start the server with what is wanted and see that it serves what was registered."""
        around = self._around
        server = replace(self._server, load=Load(self.base, self.adapters.wanted))
        copies = around.copies.make(server.load.versions)
        self._copy = copies[self.base.name]
        cpu = vllm.is_cpu(server.environment)
        command = vllm.command(server, copies, cpu=cpu, threads=vllm.threads())
        around.report(f"starting vLLM {server.environment.version} on {self.base.name}")
        self._server = server
        self._asleep = False
        self._become("starting" if first else "down")
        self._process.start(command)
        self.adapters.listed_at_start(copies, server.load.adapters)
        around.on_change()
        with self.place.endpoint.client() as client:
            self._await_health(client)
            self._length = readiness.context_length(client)
            self.adapters.check(client, self.base)
            for one in server.load.adapters:
                self.adapters.settle(client, one, server.room, self._process.alive)
        self._become("ready")
        if not first:
            around.report(f"vLLM on {self.base.name} is ready again")

    def _await_health(self, client: "httpx.Client") -> None:
        patience = self._around.patience
        started = told = time.monotonic()
        while readiness.health(self.place.endpoint, client) != "well":
            code = self._process.wait(_PULSE)
            now = time.monotonic()
            if self._stopping() or self._hold is not None:
                raise _Told
            if code is not None:
                raise self._process.ended("the backend ended while it was starting")
            if now - started > patience.start:
                raise self._process.failed(f"not healthy after {patience.start:.0f} s")
            if now - told > patience.still:
                told = now
                self._around.report(f"still starting ({now - started:.0f} s)")

    def _look_after(self) -> None:
        """Load what is wanted, as long as it lives and is wanted itself. Raises LlmopsError when
        it ended or hangs."""
        endpoint = self.place.endpoint
        with endpoint.client() as client, endpoint.client() as doctor:
            healthy = asked = time.monotonic()
            while not self._stopping():
                if not self._process.alive():
                    raise self._process.ended("the backend ended")
                if self.leaving or self._hold == "stop":
                    self._drain(client)
                    self._process.stop()
                    return
                self._sleep_or_wake(client)
                if not self._asleep:
                    for one in self.adapters.missing:
                        self.adapters.settle(client, one, self._server.room, self._process.alive)
                if time.monotonic() - asked >= _HEALTH_EVERY:
                    timeout = min(_HEALTH_TIMEOUT, self._around.patience.hang / 2)
                    told = readiness.health(endpoint, doctor, timeout)
                    asked = time.monotonic()
                    healthy = asked if told == "well" else healthy
                    self._require_life(told, asked - healthy)
                self._pause(_PULSE)

    def _require_life(self, told: readiness.Health, silent: float) -> None:
        """Raises Failed, with nothing left of it, when it lives without being of use. silent:
        seconds since it last said that it is well."""
        if told == "dead":
            what = "the backend's engine has ended"
        elif silent >= self._around.patience.hang:
            what = f"the backend lives, but has not answered for {silent:.0f} s"
        else:
            return
        self._process.kill()
        raise self._process.failed(what)

    def _check(self, client: "httpx.Client", one: Served) -> None:
        readiness.check_version(
            client,
            one,
            dtype=vllm.dtype(self._server.settings, self.base),
            length=self._length,
            variants=self._around.variants_of(one.name),
            report=self._around.report,
        )

    def _sleep_or_wake(self, client: "httpx.Client") -> None:
        if self._hold == "sleep" and not self._asleep:
            self._drain(client)
            readiness.sleep(client)
            self._asleep = True
            self._become("held")
            self._around.report(f"vLLM on {self.base.name} sleeps")
        elif self._hold is None and self._asleep:
            readiness.wake(client)
            self._asleep = False
            self._become("ready")
            self._around.report(f"vLLM on {self.base.name} is awake")

    def _drain(self, client: "httpx.Client") -> None:
        """Wait until nothing is under way, once gateways send nothing more."""
        self._around.on_change()
        deadline = time.monotonic() + self._around.patience.drain
        time.sleep(_GATEWAYS_FOLLOW)
        while time.monotonic() < deadline and not self._ending and self._process.alive():
            if readiness.under_way(client) == 0:  # None: it does not tell
                return
            time.sleep(_PULSE)

    def _rest(self) -> None:
        if self.status != "held":
            self._process.stop()
            self._become("held")
            self._around.report(f"vLLM on {self.base.name} gave the device back")
        self._pause(60.0)

    def _pause(self, seconds: float) -> None:
        """Until something else is wanted, or the time is over."""
        self._wake.wait(seconds)
        self._wake.clear()

    def _stopping(self) -> bool:
        return self._ending or (self.leaving and not self._process.alive())

    def _become(self, status: Status) -> None:
        self.status = status
        self._around.on_change()
