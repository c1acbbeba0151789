"""Who is the project's control process: `.llmops/parts/control.json`.

The file names the process and where it answers; it goes at a clean end, and one that a kill left
behind is told by its process, which is no more.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from llmops.errors import BadInput
from llmops.runner.record import utc_now
from llmops.store.atomic import write_json
from llmops.store.liveness import is_alive, process_mark
from llmops.store.paths import ProjectPaths

NAME = "control"


def present(paths: ProjectPaths, name: str = NAME) -> dict[str, Any] | None:
    """{pid, process_started, url, started} of the living part of that name; None without one."""
    try:
        found = json.loads(paths.part(name).read_text(encoding="utf-8"))
        alive = is_alive(int(found["pid"]), str(found["process_started"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if alive and isinstance(found, dict) else None


@contextmanager
def announced(paths: ProjectPaths, url: str, name: str = NAME) -> Iterator[None]:
    """This process is the project's control (or another part), and answers at `url`. One more
    beside a living one announces nothing: who asks the file finds the first."""
    pid = os.getpid()
    if present(paths, name) is not None:
        yield
        return
    mine = {
        "pid": pid,
        "process_started": process_mark(pid),
        "url": url,
        "started": utc_now(),
    }
    write_json(paths.part(name), mine)
    try:
        yield
    finally:
        now = present(paths, name)
        if now is not None and now["pid"] == pid:
            paths.part(name).unlink(missing_ok=True)


def refuse_a_second(paths: ProjectPaths, chosen: bool) -> str | None:
    """What to tell when a control of this project runs already; BadInput unless the port was
    chosen for this one."""
    there = present(paths)
    if there is None:
        return None
    if not chosen:
        raise BadInput(
            f"the control of this project runs already, at {there['url']} (process {there['pid']})",
            where=str(paths.root),
            fix="use that one, or start another with a --port of its own",
        )
    return f"another control of this project answers at {there['url']}; both work on its queue"
