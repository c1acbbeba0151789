"""What it costs to ask an experiment: `decide` on a log of 100,000 exposures in the project's own
database, beside reading the same rows alone."""

import random
from collections.abc import Iterator
from pathlib import Path

import orjson

from llmops.experiments.decide import decide
from llmops.experiments.outcomes import EVENT_COLUMNS, INFERENCE_COLUMNS
from llmops.feedback.frames import rows_of
from llmops.feedback.ingest import ingest
from llmops.feedback.journal import Journal
from llmops.runner.stage import Context
from llmops.spec.settings import Settings
from llmops.store.database import open_database
from llmops.store.tables import feedback, inferences

EXPOSURES, USERS, RATED = 100_000, 20_000, 0.3
DEPLOYMENT = """\
name: asked
backend: {kind: openai, url: "http://127.0.0.1:1"}
variants: {control: {upstream: first}, candidate: {upstream: second}}
experiment: {control: control, candidate: candidate, outcome: rating}
"""


class Asking:
    """A project in `folder` with a log of exposures and ratings."""

    def __init__(self, folder: Path) -> None:
        self.context = Context(Settings(root=folder, cache=folder / "cache"))
        (folder / "serving").mkdir()
        (folder / "serving" / "asked.yaml").write_text(DEPLOYMENT, encoding="utf-8")

    async def prepare(self) -> None:
        """Write the journal and bring it into the database."""
        journal = Journal(self.context.paths.journal, "asked-1")
        for line in _records():
            journal.append_soon(line)
        await journal.close()
        database = open_database(self.context.settings)
        ingest(self.context.paths, database)
        database.dispose()

    def decide(self) -> None:
        found = decide("asked", self.context)
        assert found.analysis is not None
        assert found.analysis.exposures == EXPOSURES

    def read(self) -> None:
        database = open_database(self.context.settings)
        rows_of(database, inferences, "asked", columns=INFERENCE_COLUMNS)
        rows_of(database, feedback, "asked", columns=EVENT_COLUMNS)
        database.dispose()


def _records() -> Iterator[bytes]:
    draw = random.Random(0)
    for number in range(EXPOSURES):
        user = min(int(draw.paretovariate(0.7)), USERS)
        inference = {
            "type": "inference",
            "id": f"{number:040d}",
            "time": 1_760_000_000_000 + number,
            "deployment": "asked",
            "variant": ("control", "candidate")[user % 2],
            "version": ("first", "second")[user % 2],
            "generation": 1,
            "unit": f"user:{user:032d}",
        }
        yield orjson.dumps(inference)
        if draw.random() < RATED:
            rating = {
                "type": "feedback",
                "id": f"e{number}",
                "time": 1_760_000_000_000 + number,
                "deployment": "asked",
                "inference": inference["id"],
                "kind": "rating",
                "value": draw.random(),
            }
            yield orjson.dumps(rating)
