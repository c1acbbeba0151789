"""Traffic to a gateway from several clients at once, every answer accounted for: which version gave
it, when, and whether the journal has it. For the tests and the benchmark of the swap."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx

from llmops.errors import LlmopsError
from llmops.feedback import segments
from llmops.serving.client import Stream, answer, request
from llmops.serving.endpoint import Endpoint
from tests.records import read


@dataclass(frozen=True)
class Outcome:
    """One request. at: when its answer was whole (monotonic seconds); error: why it has none."""

    at: float
    version: str
    id: str
    error: str = ""


class Traffic:
    """Asks `model` again and again, every third time as a stream, until it is told to stop."""

    def __init__(
        self, endpoint: Endpoint, model: str, *, clients: int = 8, max_tokens: int = 8
    ) -> None:
        self._endpoint = endpoint
        self._model = model
        self._max_tokens = max_tokens
        self._clients = clients
        self._outcomes: list[Outcome] = []
        self._news = threading.Condition()
        self._ending = False
        self._pool = ThreadPoolExecutor(clients)
        self._jobs = [self._pool.submit(self._ask, number) for number in range(clients)]

    @property
    def outcomes(self) -> list[Outcome]:
        with self._news:
            return list(self._outcomes)

    def first_of(self, version: str, since: float = 0.0, seconds: float = 60.0) -> Outcome:
        """The first answer of a version after a moment, once there is one."""
        while True:
            for outcome in self.outcomes:
                if outcome.version == version and outcome.at >= since:
                    return outcome
            self._wait(seconds)

    def reach(self, number: int, seconds: float = 60.0) -> None:
        """Until so many requests are through. seconds: the longest without any."""
        while len(self.outcomes) < number:
            self._wait(seconds)

    def stop(self) -> list[Outcome]:
        """All outcomes, once the requests under way are through."""
        self._ending = True
        self._pool.shutdown()
        for job in self._jobs:
            job.result()
        return self.outcomes

    def _wait(self, seconds: float) -> None:
        with self._news:
            assert self._news.wait(seconds), "no request came through"

    def _ask(self, client_number: int) -> None:
        number = client_number
        with self._endpoint.client(timeout=60) as client:
            while not self._ending:
                outcome = self._one(client, number)
                number += self._clients
                with self._news:
                    self._outcomes.append(outcome)
                    self._news.notify_all()

    def _one(self, client: httpx.Client, number: int) -> Outcome:
        body = request(self._model, f"Question {number}", max_tokens=self._max_tokens)
        try:
            if number % 3 == 0:
                stream = Stream(client, body)
                list(stream)
                found = stream.answer
            else:
                found = answer(client, body)
        except LlmopsError as error:
            return Outcome(time.monotonic(), "", "", str(error))
        return Outcome(time.monotonic(), found.model, found.id)


def logged(journal: Path) -> dict[str, str]:
    """The version of every inference that the journal has, by its id."""
    return {
        record["id"]: record["version"]
        for writer in segments.writers(journal)
        for segment in segments.segments(journal, writer)
        for record in read(segment, limit=1 << 30).records
        if record["type"] == "inference"
    }


def unlogged(outcomes: list[Outcome], journal: Path) -> list[Outcome]:
    """The answers that the journal lacks, or has of another version."""
    known = logged(journal)
    bare = ((o, o.id.removeprefix("chatcmpl-")) for o in outcomes if not o.error)
    return [outcome for outcome, id in bare if known.get(id) != outcome.version]
