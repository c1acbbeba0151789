"""Ingesters as processes of their own, for test_ingest.py: killed in the midst, or several at once.

It imports once and forks, so that a process costs milliseconds.

    python -m tests.fast.ingester killed ROOT URL       prints how often it was killed
    python -m tests.fast.ingester together ROOT URL N   prints what each of N brought
"""

import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from llmops.feedback import ingest
from llmops.spec.settings import Settings
from llmops.store.database import open_database
from llmops.store.paths import ProjectPaths

POINTS = [
    *(("_record", "call", 9), ("insert", "call", 1), ("_insert", "return", 2)),
    *(("insert", "return", 2), ("remove", "call", 1), ("remove", "return", 1)),
    *(("remove", "call", 2), ("_count", "call", 1), ("_commit", "return", 2)),
    ("insert", "call", 1),
]
ingest.BATCH = 3
ingest.READ_BYTES = 2000


def ingested(root: Path, url: str) -> int:
    database = open_database(Settings(root=root, cache=root, database=url or None))
    done = ingest.ingest(ProjectPaths(root), database)
    database.dispose()
    return done.inferences


def forked(work: Callable[[], None]) -> int:
    """The child's pid. It ends with 0 when `work` returns."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            sys.stdout.flush()
            os._exit(code)
    return pid


def dying(root: Path, url: str, name: str, event: str, times: int) -> None:
    """Ingest until a function of the ingester is entered or left so often; then kill -9."""
    left = times

    def count(frame: FrameType, what: str, value: Any) -> None:
        nonlocal left
        code = frame.f_code
        if what == event and code.co_name == name and "/llmops/" in code.co_filename:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(count)
    ingested(root, url)
    sys.setprofile(None)


def killed(root: Path, url: str) -> None:
    """At every seam of a commit, and in the midst of the lines; then to the end."""
    deaths = 0
    for name, event, times in POINTS:
        status = os.waitpid(forked(partial(dying, root, url, name, event, times)), 0)[1]
        deaths += os.WIFSIGNALED(status)
    ingested(root, url)
    print(deaths)


def together(root: Path, url: str, number: int) -> None:
    def work() -> None:
        os.write(1, f"{ingested(root, url)}\n".encode())

    children = [forked(work) for _ in range(number)]
    for pid in children:
        assert os.waitpid(pid, 0)[1] == 0


if __name__ == "__main__":
    root, url = Path(sys.argv[2]), sys.argv[3]
    if sys.argv[1] == "killed":
        killed(root, url)
    else:
        together(root, url, int(sys.argv[4]))
