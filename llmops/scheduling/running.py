"""Which runs are running now, told by their records; those that have ended are read once."""

import os
from collections.abc import Iterator

from llmops.runner.record import RunRecord, read_run
from llmops.store.paths import ProjectPaths


class Running:
    """The running runs of a project, whoever began them."""

    def __init__(self, paths: ProjectPaths) -> None:
        self._paths = paths
        self._over: dict[str, tuple[int, int]] = {}
        """The records that say that their run has ended, by what they were when they said so."""
        self._lately: set[str] = set()

    def records(self) -> Iterator[RunRecord]:
        """Those that ran when it was asked before come first; whoever has enough may stop."""
        for name in sorted(self._names(), key=lambda name: name not in self._lately):
            self._lately.discard(name)
            paths = self._paths.run(name)
            try:
                stat = paths.record.stat()
            except FileNotFoundError:
                continue
            stamp = (stat.st_mtime_ns, stat.st_ino)
            if self._over.get(name) == stamp:
                continue
            record = read_run(paths)
            if record is not None and record.state == "running":
                self._lately.add(name)
                yield record
            else:
                self._over[name] = stamp

    def _names(self) -> list[str]:
        try:
            return os.listdir(self._paths.runs)
        except FileNotFoundError:
            return []
