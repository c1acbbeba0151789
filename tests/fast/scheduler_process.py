"""A scheduler's turn in a process of its own, for tests of several at once, and of kill -9.

    python -m tests.fast.scheduler_process DIRECTORY TIME [--stop]

Says `ready`, waits for a line, fires what is due at TIME, and prints the jobs as JSON. With --stop
it says `firing` in the middle of a transaction, and waits there for ever. LLMOPS_DATABASE names the
database.
"""

import json
import sys
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from llmops.scheduling.triggers import Triggers
from llmops.spec.settings import load_settings
from llmops.store.database import open_database
from tests.fast.moved_clock import MovedClock


def stop(_c: Any, _k: Any, text: str, *_: Any) -> None:
    if text.startswith("INSERT INTO firings"):
        print("firing", flush=True)
        sys.stdin.read()


def main() -> None:
    settings = load_settings(Path(sys.argv[1]))
    database = open_database(settings)
    triggers = Triggers(settings, MovedClock(sys.argv[2]))
    if "--stop" in sys.argv:
        sa.event.listen(database, "after_cursor_execute", stop)
    print("ready", flush=True)
    sys.stdin.readline()
    print(json.dumps(triggers.tick(database)), flush=True)
    database.dispose()


if __name__ == "__main__":
    main()
