"""The likely cause of a backend's end, in one line, from its log."""

import re
from pathlib import Path

from llmops.runner.process import last_lines

_ERROR = re.compile(
    r"(?:^|[\]\s])(?P<kind>[A-Za-z_.]*(?:Error|Exception)): (?P<what>.+)|: error: (?P<usage>.+)$"
)
_WRAPPERS = ("Engine core initialization failed", "root cause", "WorkerProc initialization failed")


def cause(log: Path) -> str:
    """The error that a log ends in, without those that only wrap it; empty when none is found."""
    found = ""
    for line in last_lines(log):
        match = _ERROR.search(line)
        if match and not any(wrapper in line for wrapper in _WRAPPERS):
            found = match["usage"] or f"{match['kind']}: {match['what']}"
    return found
