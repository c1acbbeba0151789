"""Pulls that are killed before anything gets its name, and gone on with: a process of its own, for
it forks, and the tests' Hub is threads of another.

    python -m tests.fast.killed_pull FOLDER [all]     prints how many places there were; all: before
                                                      any change of a file (half a minute)
"""

import sys
from pathlib import Path

from llmops.registry.hub.client import hub
from llmops.registry.remote.pull import pull
from llmops.registry.store import Registry
from llmops.spec.settings import Settings
from llmops.store.paths import ProjectPaths
from tests.fast.remote_machines import ID
from tests.fast.test_registry_killed import CHANGES, DONE, check, ended_at, kill

NEVER = 1_000_000


def take(project: Path) -> None:
    registry = Registry(ProjectPaths(project))
    pull("town", ID, registry, Settings(root=project, cache=project))


def main(folder: Path, events: set[str]) -> int:
    """The place at which a pull has ended before it is killed."""
    hub()  # imported once, not in each fork
    for place in range(1, 200):
        project = folder / f"at{place}"
        project.mkdir()
        status = ended_at(place, project, events, kill, take)
        assert check(project) in ([], [1])
        assert ended_at(NEVER, project, events, kill, take) == DONE, place
        assert check(project) == [1]
        left = [one.name for one in ProjectPaths(project).model("town").glob(".pull-*")]
        assert not left, (place, left)
        if status == DONE:
            return place
    raise AssertionError("it never ends")


if __name__ == "__main__":
    print(main(Path(sys.argv[1]), CHANGES if sys.argv[2:] else {"os.rename"}))
