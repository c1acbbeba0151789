"""All the visits of a simulation, several at once, with what came of them.

Threads rather than an event loop: what stops a run (Ctrl-C, SIGTERM) then ends it in order.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field

from llmops.errors import Failed
from llmops.simulation.population import Visit
from llmops.simulation.visitor import Visited, VisitFailed, Visitor

FAILURES = 0.05
"""The share of visits that may fail before it is called off, once there were EARLY of them."""
EARLY = 20


@dataclass
class Outcome:
    """What came of the visits. answers: by version; events: by kind; failed: visits that got no
    answer or could not rate; last_event: when the last rating was acknowledged (seconds since
    1970, 0 for never)."""

    visits: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)
    failed: int = 0
    cause: str = ""
    last_event: float = 0.0

    def add(self, visited: Visited) -> None:
        self.visits += 1
        self.answers.update(visited.answers)
        self.events.update(visited.events)
        if visited.events:
            self.last_event = max(self.last_event, visited.ended)


def visit_all(
    visitor: Visitor,
    visits: Sequence[Visit],
    concurrency: int,
    report: Callable[[int], None],
) -> Outcome:
    """Every visit, in about their order. report: called with the number of visits so far.

    Raises Failed, with the first cause, when more than a few fail.
    """
    outcome = Outcome()
    with ThreadPoolExecutor(concurrency) as pool:
        jobs = [pool.submit(visitor.visit, visit) for visit in visits]
        try:
            for job in as_completed(jobs):
                _take(job, outcome)
                if outcome.visits >= EARLY:
                    _refuse_failures(outcome)
                report(outcome.visits)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    _refuse_failures(outcome)
    return outcome


def _take(job: "Future[Visited]", outcome: Outcome) -> None:
    try:
        outcome.add(job.result())
    except VisitFailed as error:
        outcome.visits += 1
        outcome.failed += 1
        outcome.cause = outcome.cause or str(error)


def _refuse_failures(outcome: Outcome) -> None:
    if outcome.failed > FAILURES * outcome.visits:
        raise Failed(
            f"{outcome.failed} of {outcome.visits} visits failed: {outcome.cause}",
            fix="the deployment's logs tell more: .llmops/serving/NAME/",
        )
