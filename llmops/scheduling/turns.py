"""Whose turn it is: which queued jobs may start now, with which GPUs, and why the others wait.

What needs a device comes in the order in which it was asked for; what needs none passes by. Told by
rows and files, so that whoever asks is told what the dispatcher does.
"""

import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from llmops.runner.devices import Free, gpus_here, needed
from llmops.runner.running import Records, Running
from llmops.scheduling.jobs import RUNS, Job
from llmops.store.paths import ProjectPaths

LIGHT = 4
"""So many runs at once that need no device: their processes take memory, too."""


@dataclass(frozen=True)
class Turn:
    """One queued job. why: it waits; empty when its turn has come. gpus: that it starts with."""

    job: Job
    why: str = ""
    gpus: tuple[str, ...] = ()


class Turns:
    """Of the jobs of one project on this machine. gpus: those that there are (default: asked)."""

    def __init__(self, paths: ProjectPaths, gpus: Sequence[str] | None = None) -> None:
        self._gpus = gpus_here() if gpus is None else tuple(gpus)
        self._running, self._records = Running(paths), Records(paths)

    def queued(self, active: list[Job]) -> Iterator[Turn]:
        """Of each queued job, in order. active: all jobs that have not ended, in order."""
        queued = [job for job in active if job.state == "queued"]
        if not queued:
            return
        self._records.keep({job.id for job in active})
        free, light, users = self._free(active)
        first, looked = None, False
        for job in queued:
            record = self._records.get(job.id)
            if record is not None and record.state == "running":
                yield Turn(job, "it goes on at a terminal")
                continue
            need = min(needed(record, job.devices), free.number)
            if not need:
                full = light >= LIGHT
                light += not full
                yield Turn(job, f"{LIGHT} runs that need no device are enough" if full else "")
                continue
            if free.left and not looked:
                users += self._terminals(free, active)  # late: it looks at every run that there is
                looked = True
            if first is None and need <= free.left:
                yield Turn(job, gpus=tuple(free.take(need)))
                users.append(job.id)
                continue
            yield Turn(job, f"after {first}" if first else _taken(free, need, users))
            first = job.id

    def _free(self, active: list[Job]) -> tuple[Free, int, list[str]]:
        """What the jobs that run here leave, how many of those need no device, and the others."""
        here = socket.gethostname()
        free, light, users = Free(self._gpus), 0, []
        for job in active:
            if job.state not in RUNS or job.host != here:
                continue
            need = needed(self._records.get(job.id), job.devices)
            free.use(need, job.gpus.split(",") if job.gpus else ())
            light += not need
            users += [job.id] if need else []
        return free, light, users

    def _terminals(self, free: Free, active: list[Job]) -> list[str]:
        """The runs that were begun at a terminal and have some of the devices that no job has."""
        jobs = {job.id for job in active if job.state in RUNS}
        users = []
        for run in self._running.records():
            need = needed(run, len(run.gpus) or 1)
            if run.id not in jobs and need:
                free.use(need, run.gpus)
                users.append(run.id)
            if not free.left:
                break
        return users


def _taken(free: Free, need: int, users: Sequence[str]) -> str:
    """Why the next one to start does not start yet."""
    who = ", ".join(users)
    if free.number == 1:
        return f"{who} has the device"
    have = f"; {who} {'have' if len(users) > 1 else 'has'} the others" if users else ""
    return f"needs {need} of {free.number} devices, {free.left or 'none'} free{have}"
