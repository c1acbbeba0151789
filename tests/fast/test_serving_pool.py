"""The servers of a deployment without their supervisor. The tests' own program stands in the place
of vLLM (vllm_wire.py)."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from llmops.engines.contract import Environment
from llmops.serving import readiness
from llmops.serving.patience import Patience
from llmops.serving.plan import plan_serving
from llmops.serving.pool import VllmPool
from llmops.serving.served import Served
from llmops.serving.snapshot import status_of
from llmops.spec.deployment import VllmBackend
from llmops.spec.load import load_deployment
from llmops.store.paths import ProjectPaths
from tests.asked import ask
from tests.fast.served import deployment, register, wire_environment
from tests.waiting import until

pytestmark = pytest.mark.slow

QUICK = Patience(drain=3, linger=0, delay=0.1)


@contextmanager
def pool_of(root: Path, environment: Environment) -> Iterator[tuple[VllmPool, Served]]:
    """A pool, and the base that it may be asked for."""
    loaded = load_deployment(deployment(root))
    assert isinstance(loaded.spec.backend, VllmBackend)
    paths = ProjectPaths(root)
    pool = VllmPool(
        loaded.spec.backend,
        environment,
        paths,
        paths.deployment("town"),
        patience=QUICK,
        report=lambda _line: None,
        on_change=lambda: None,
        variants_of=lambda _version: [],
    )
    try:
        yield pool, plan_serving(loaded, register(root), root, environment).loads[0].base
    finally:
        pool.stop()


SLOW_TO_END = """\
#!/bin/sh
echo started >> starts
trap 'touch told; sleep 0.5; exit 1' TERM
while :; do sleep 0.05; done
"""


def ready(pool: VllmPool, base: Served) -> Callable[[], bool]:
    """To be asked until it is, as a supervisor does."""

    def now() -> bool:
        pool.want([base])
        return pool.ready(base)

    return now


def test_a_base_that_is_needed_again_while_its_server_leaves_gets_a_new_one(project: Path) -> None:
    with pool_of(project, wire_environment(project)) as (pool, base):
        until(ready(pool, base))
        first = pool.backends[base.name]
        pool.want([])
        assert first.leaving
        assert first.status == "ready"
        until(ready(pool, base))
        assert pool.backends[base.name] is not first


def test_ready_is_only_what_the_routing_table_leads_to(project: Path) -> None:
    """The table is written before the state; a server may come back in between."""
    with pool_of(project, wire_environment(project)) as (pool, base):
        before = pool.upstreams([base.name])
        until(ready(pool, base))
        now = pool.upstreams([base.name])
        told = [status_of(pool.backends, table, starting=False) for table in (before, now)]
    assert told == ["restarting", "ready"]


def test_a_second_base_waits_until_the_first_is_back(project: Path) -> None:
    """While it is held it uses no memory, and would not fit any more afterwards."""
    with pool_of(project, wire_environment(project)) as (pool, base):
        until(ready(pool, base))
        pool.hold("stop")
        until(lambda: pool.backends[base.name].status == "held")
        other = replace(base, name="other:v1", digest="other")
        pool.want([base, other])
        assert list(pool.backends) == [base.name]


def test_a_server_that_does_not_tell_what_is_under_way_is_given_time(project: Path) -> None:
    with pool_of(project, wire_environment(project)) as (pool, base), ThreadPoolExecutor() as two:
        until(ready(pool, base))
        place = pool.backends[base.name].place.endpoint
        answer = two.submit(ask, place, base.name, ["mute 1.5"])
        with place.client() as client:
            until(lambda: readiness.under_way(client) is None)
        pool.hold("stop")
        assert answer.result()[0].model == base.name


def test_a_hold_that_ends_before_a_starting_server_does_is_no_failure(project: Path) -> None:
    environment = wire_environment(project)
    environment.python.write_text(SLOW_TO_END)
    starts = project / "starts"
    with pool_of(project, environment) as (pool, base):
        pool.want([base])
        until(starts.exists)
        pool.hold("stop")
        until((project / "told").exists)
        pool.hold(None)
        until(lambda: starts.read_text().count("started") == 2 or pool.problem(base))
        assert pool.problem(base) is None
