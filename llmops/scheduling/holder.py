"""Who carries out a job: a file beside the run's record, from the moment its process has the job.

A run has no record while it is planned, and none of how it failed before it began; this file says
both. Its time of change is the holder's last sign of life, for hosts that cannot ask its kernel.
"""

import json
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from llmops.spec.grammar import Spec
from llmops.store.atomic import write_json
from llmops.store.liveness import BEAT_SECONDS, last_sign, lives, process_mark
from llmops.store.run_paths import RunPaths


class Holder(Spec):
    """deaths: how many before it were cut off, since a person last asked. started, ended:
    seconds since 1970; state, error: how it ended; tries: the job's, when it had it; devices: that
    were counted for it."""

    host: str
    pid: int
    process_started: str
    started: float
    tries: int = 1
    devices: int = 1
    deaths: int = 0
    ended: float | None = None
    state: str | None = None
    error: str | None = None

    @property
    def cut_off(self) -> bool:
        """Of one that lives no more: killed, or told to end by the system."""
        return self.ended is None or self.state == "interrupted"

    def is_alive(self, file: Path) -> bool:
        """file: where this was read."""
        return self.ended is None and lives(self.host, self.pid, self.process_started, file)


@dataclass
class Hold:
    """The holder that this process is."""

    file: Path
    holder: Holder
    _over: threading.Event = field(default_factory=threading.Event)

    def end(self, state: str, error: str | None) -> None:
        self._over.set()
        values = {"ended": time.time(), "state": state, "error": error}
        self.holder = self.holder.model_copy(update=values)
        write_json(self.file, self.holder.model_dump())

    def beat(self, stop: Path) -> None:
        """Give signs of life until the end, and hear who wants it on another host."""
        heard = False
        while not self._over.wait(BEAT_SECONDS):
            # A share that is away for a moment must not end the signs: others would take over.
            with suppress(OSError):
                os.utime(self.file)
            if not heard and _elsewhere(stop):
                heard = True
                os.kill(os.getpid(), signal.SIGTERM)


def _elsewhere(stop: Path) -> bool:
    """Whether somebody on another host wants it to end; on this one it is signalled."""
    try:
        wish = json.loads(stop.read_bytes())
        return bool(wish["host"] != socket.gethostname())
    except (OSError, ValueError, KeyError, TypeError):
        return False


def read_holder(paths: RunPaths) -> Holder | None:
    try:
        return Holder.model_validate_json(paths.holder.read_bytes())
    except (OSError, ValidationError):
        return None


def forgive(paths: RunPaths) -> None:
    """A person asks again: what was cut off before counts no more."""
    holder = read_holder(paths)
    if holder is not None:
        ended = holder.ended or last_sign(paths.holder)
        fresh = holder.model_copy(update={"ended": ended, "state": "resumed", "deaths": 0})
        write_json(paths.holder, fresh.model_dump())


@contextmanager
def holding(paths: RunPaths, *, tries: int, devices: int) -> Iterator[Hold]:
    """This process carries out the run."""
    before = read_holder(paths)
    holder = Holder(
        host=socket.gethostname(),
        pid=os.getpid(),
        process_started=process_mark(os.getpid()),
        started=time.time(),
        tries=tries,
        devices=devices,
        deaths=before.deaths + before.cut_off if before is not None else 0,
    )
    write_json(paths.holder, holder.model_dump())
    hold = Hold(paths.holder, holder)
    beat = threading.Thread(target=hold.beat, args=(paths.stop,), name="signs of life", daemon=True)
    beat.start()
    try:
        yield hold
    finally:
        hold._over.set()
        beat.join()
