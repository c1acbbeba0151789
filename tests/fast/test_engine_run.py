"""What an engine's end is told as."""

import pytest

from llmops.engines.contract import Cause
from llmops.stages.engine_run import ended_by


@pytest.mark.parametrize(
    ("code", "killed", "found", "told", "kind"),
    [
        (137, True, Cause("lost a connection", "passing"), "killed by the kernel", "memory"),
        (137, False, Cause(), "killed by signal 9", ""),
        (1, True, Cause("bad mask"), "bad mask", ""),
        (1, False, Cause("the port is in use", "passing"), "the port is in use", "passing"),
        (3, False, Cause(), "the engine ended with exit code 3", ""),
    ],
)
def test_the_kernels_word_comes_before_the_logs(
    code: int, killed: bool, found: Cause, told: str, kind: str
) -> None:
    said, of_kind = ended_by(code, killed, found)
    assert said.startswith(told)
    assert of_kind == kind
