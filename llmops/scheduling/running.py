"""Which runs are running now, told by their records; those that have ended are read once."""

import os

from llmops.runner.record import RunRecord, read_run
from llmops.store.paths import ProjectPaths


class Running:
    """The running runs of a project, whoever began them."""

    def __init__(self, paths: ProjectPaths) -> None:
        self._paths = paths
        self._over: dict[str, tuple[int, int]] = {}
        """The records that say that their run has ended, by what they were when they said so."""

    def records(self) -> list[RunRecord]:
        found = []
        for name in self._names():
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
                found.append(record)
            else:
                self._over[name] = stamp
        return found

    def _names(self) -> list[str]:
        try:
            return os.listdir(self._paths.runs)
        except FileNotFoundError:
            return []
