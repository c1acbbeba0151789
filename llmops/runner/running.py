"""Which runs are running now, told by their records; those that have ended are read once."""

import os
from collections.abc import Collection, Iterator
from pathlib import Path

from llmops.runner.devices import needed
from llmops.runner.record import RunRecord, read_run
from llmops.store.files import Mark, mark_of
from llmops.store.paths import ProjectPaths


class Records:
    """Records of runs, each read again only when its file has changed."""

    def __init__(self, paths: ProjectPaths) -> None:
        self._paths = paths
        self._known: dict[str, tuple[Mark, RunRecord]] = {}

    def get(self, run: str) -> RunRecord | None:
        """None for one that has not begun."""
        paths = self._paths.run(run)
        mark, known = mark_of(paths.record), self._known.get(run)
        if mark is None:
            return None
        if known is None or known[0] != mark:
            record = read_run(paths)
            if record is None:
                return None
            self._known[run] = known = mark, record
        return known[1].now(paths.record)

    def keep(self, runs: Collection[str]) -> None:
        """Forget all others."""
        self._known = {run: known for run, known in self._known.items() if run in runs}


class Running:
    """The runs of a project that run on this host, whoever began them."""

    def __init__(self, paths: ProjectPaths) -> None:
        self._paths = paths
        self._over: dict[str, tuple[Mark, Path]] = {}
        """The records that say that their run has ended, by what they were when they said so, and
        their files: to make ten thousand names anew takes longer than to look at them."""
        self._lately: set[str] = set()

    def records(self) -> Iterator[RunRecord]:
        """Those that ran when it was asked before come first; whoever has enough may stop."""
        others = (name for name in self._names() if name not in self._lately)
        for name in [*self._lately, *others]:
            self._lately.discard(name)
            known, file = self._over.get(name) or (None, self._paths.run(name).record)
            mark = mark_of(file)
            if mark is None or known == mark:
                continue
            record = read_run(self._paths.run(name))
            if record is not None and record.state == "running":
                if record.is_here:
                    self._lately.add(name)
                    yield record
            else:
                self._over[name] = mark, file

    def _names(self) -> list[str]:
        try:
            return os.listdir(self._paths.runs)
        except FileNotFoundError:
            return []

    def beside(self, gpus: Collection[str]) -> list[str]:
        """The ids of those that need a device which a run with these GPUs has too."""
        return [
            run.id
            for run in self.records()
            if needed(run, 1) and (not gpus or not run.gpus or set(gpus) & set(run.gpus))
        ]
