"""The project that a control process speaks for: its settings, files and database.

Everything is opened when it is first needed, so the API answers what files tell while the
database is away.
"""

import threading
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Request

from llmops.control.dashboard import Dashboard
from llmops.control.declarations import Declarations
from llmops.control.deploying import Deployer
from llmops.control.experiments import Experiments
from llmops.control.runs import Runs
from llmops.registry.store import Registry
from llmops.runner.stage import Context
from llmops.scheduling.clock import Clock, SystemClock
from llmops.scheduling.runs import Runs as Queue
from llmops.spec.settings import Settings
from llmops.store.paths import ProjectPaths

if TYPE_CHECKING:
    import sqlalchemy as sa

    from llmops.scheduling.schedules import Schedules


class Project:
    """settings: of the project, as they were when the process began. ending: set when the process
    has been told to end, for what would go on."""

    def __init__(self, settings: Settings, clock: Clock | None = None) -> None:
        self.settings = settings
        self.clock = clock or SystemClock()
        self.ending = threading.Event()
        self.paths = ProjectPaths(settings.root)
        self.declarations = Declarations(self.paths)
        self.experiments = Experiments(settings)
        self.deployer = Deployer(settings)
        self.run_list = Runs(self)
        self.dashboard = Dashboard(self)
        self.threads: list[threading.Thread] = []
        self._own = threading.local()
        self._opening = threading.Lock()
        self._database: sa.Engine | None = None

    @property
    def registry(self) -> Registry:
        return Registry(self.paths)

    def context(self) -> Context:
        """For planning; of one request, since it keeps what it read."""
        return Context(self.settings)

    @property
    def database(self) -> "sa.Engine":
        """Raises Failed while it cannot be reached; the next request tries again."""
        from llmops.store.database import open_database

        with self._opening:
            if self._database is None:
                self._database = open_database(self.settings)
            return self._database

    @property
    def queue(self) -> Queue:
        """Asks for runs, stops them and goes on with them."""
        return Queue(self.settings, self.database)

    @property
    def schedules(self) -> "Schedules":
        """Of each thread its own: what they remember of files is not shared."""
        from llmops.scheduling.schedules import Schedules

        found: Schedules | None = getattr(self._own, "schedules", None)
        if found is None:
            found = self._own.schedules = Schedules(self.settings, self.database, self.clock)
        return found

    def close(self) -> None:
        self.deployer.close()
        with self._opening:
            if self._database is not None:
                self._database.dispose()
                self._database = None


def _project(request: Request) -> Project:
    found: Project = request.app.state.project
    return found


ProjectHeld = Annotated[Project, Depends(_project)]
