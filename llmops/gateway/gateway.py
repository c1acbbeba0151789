"""What all parts of one gateway process share, and the one way into its journal."""

import time
from dataclasses import dataclass, field

from llmops.errors import Failed
from llmops.feedback.identity import Identity, load_identity
from llmops.feedback.journal import Journal, writer_name
from llmops.gateway.access import Access
from llmops.gateway.metrics import Metrics
from llmops.gateway.options import Options
from llmops.gateway.problems import Problems
from llmops.gateway.replies import Refused
from llmops.gateway.table import Table
from llmops.store.paths import ProjectPaths


@dataclass
class Gateway:
    """One deployment's gateway, from start to drained."""

    options: Options
    identity: Identity
    journal: Journal
    table: Table
    access: Access
    metrics: Metrics = field(default_factory=Metrics)
    problems: Problems = field(default_factory=Problems)

    async def keep(self, *records: bytes, required: bool = True) -> None:
        """Write records. required: returns once they are on disk, or raises Refused (503) and
        none of them is."""
        if not required:
            for record in records:
                self.journal.append_soon(record)
            return
        began = time.perf_counter()
        try:
            await self.journal.append(*records)
        except Failed as error:
            self.problems.tell("the journal", f"no record can be kept: {error}")
            what = "The answer cannot be recorded, so it is not given"
            raise Refused(503, what, code="journal_failed") from error
        self.metrics.journal.observe((), time.perf_counter() - began)
        self.problems.over("the journal")


def open_gateway(options: Options) -> Gateway:
    """Everything but the listening. Raises BadInput or Failed."""
    paths = ProjectPaths(options.root)
    problems = Problems()
    routes = paths.deployment(options.deployment).routes
    table = Table(routes, options.deployment, options.waits, problems)
    table.look()
    return Gateway(
        options=options,
        identity=load_identity(paths.secret),
        journal=Journal(paths.journal, writer_name(options.deployment)),
        table=table,
        access=Access(paths, options.keys_needed, problems),
        problems=problems,
    )
