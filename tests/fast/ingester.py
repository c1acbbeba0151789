"""Ingesters as processes of their own, for test_ingest.py: killed in the midst, or several at once.

It imports once and forks, so that a process costs milliseconds.

    python -m tests.fast.ingester killed ROOT URL       prints: how often killed, how often done
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

ingest.BATCH = 7
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


def dying(root: Path, url: str, steps: int) -> None:
    """Ingest until the ingester's own code was entered or left so often; then kill -9."""
    left = steps

    def count(frame: FrameType, event: str, value: Any) -> None:
        nonlocal left
        if "/llmops/feedback/" in frame.f_code.co_filename:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(count)
    ingested(root, url)
    sys.setprofile(None)


def killed(root: Path, url: str) -> None:
    deaths, steps = 0, 100
    while True:
        status = os.waitpid(forked(partial(dying, root, url, steps)), 0)[1]
        if not os.WIFSIGNALED(status):
            print(deaths, int(status == 0))
            return
        deaths, steps = deaths + 1, steps * 5 // 4


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
