"""The control API against its own description: whatever is sent, the answer is one that the
description knows, and none is a server's error.

Requests are made up by schemathesis from the description, the same ones in each run. It is imported
where it is used, and is no plugin of pytest's here: that takes a second of every worker.
"""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser.project import make_project
from tests.fast.control_process import ControlProcess, control

MADE_UP, LIKELY = 4, 2
"""Requests for each operation: ten and three found nothing that these do not, and took thrice as
long."""
pytestmark = pytest.mark.slow
STREAMS = r"/events$"
"""Does not end while a run has yet to begin: test_control_events.py."""
STARTS = r"^/deploy$|/pull$"
"""Starts servers (test_control_deploy.py), asks the Hub."""


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlProcess]:
    """Of a project that has been used; nothing that is queued here starts."""
    root = tmp_path_factory.mktemp("control") / "town"
    make_project(root)
    with control(root, "--no-scheduler") as process:
        yield process


def described(town: ControlProcess, *, likely: bool) -> list[Any]:
    """The operations, without the keys that the description tells of: what is made up there opens
    nothing. likely: with the examples in place of what they are examples of."""
    import schemathesis

    found = town.get("/openapi.json").json()
    del found["components"]["securitySchemes"]
    for operations in found["paths"].values():
        for operation in operations.values():
            operation.pop("security", None)
    made: Any = schemathesis.openapi.from_dict(with_examples(found) if likely else found)
    made.config.update(base_url=town.url)
    wanted = made.exclude(path_regex=STREAMS).exclude(path_regex=STARTS)
    return [one.ok() for one in wanted.get_all_operations()]


def with_examples(described: Any) -> Any:
    if isinstance(described, list):
        return [with_examples(one) for one in described]
    if not isinstance(described, dict):
        return described
    if isinstance(described.get("examples"), list):
        return {"enum": described["examples"]}
    return {key: with_examples(value) for key, value in described.items()}


def wrong_about(operation: Any, examples: int) -> str:
    """The request, as a curl command, whose answer is not as described; empty without one."""
    from hypothesis import HealthCheck, Phase, given, settings
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi import checks

    wanted = [
        not_a_server_error,
        checks.status_code_conformance,
        checks.content_type_conformance,
        checks.response_schema_conformance,
        checks.response_headers_conformance,
    ]

    @given(case=operation.as_strategy())
    @settings(
        max_examples=examples,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def ask(case: Any) -> None:
        case.call_and_validate(checks=wanted, timeout=30)

    try:
        ask()
    except (Exception, BaseExceptionGroup) as error:
        return f"{operation.label}: {error}"
    return ""


def test_every_answer_is_one_that_is_described(town: ControlProcess) -> None:
    operations = described(town, likely=False)
    wrong = [wrong_about(operation, MADE_UP) for operation in operations]
    assert not any(wrong), "\n\n".join(filter(None, wrong))


def test_the_examples_are_such_that_it_is_done(town: ControlProcess) -> None:
    operations = described(town, likely=True)
    wrong = [wrong_about(operation, LIKELY) for operation in operations]
    assert not any(wrong), "\n\n".join(filter(None, wrong))
    undone = {operation.label for operation in operations} - answered(town)
    assert len(undone) <= len(operations) / 4, sorted(undone)


def answered(town: ControlProcess) -> set[str]:
    """The operations that did what was asked, at least once."""
    line = re.compile(r'requests_total\{method="(\w+)",route="([^"]+)",status="2\d\d"')
    return {
        f"{method} {route.replace(':path', '')}"
        for method, route in line.findall(town.get("/metrics").text)
    }
