"""The servers of a run: started when they are needed, shared, ended with it. `llmops serve` is
real; the tests' own program stands in the place of vLLM (vllm_wire.py)."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from llmops.engines.contract import Progress
from llmops.errors import Failed
from llmops.serving.servers import Servers
from llmops.serving.state import last_state, read_state, running
from llmops.spec.settings import load_settings
from llmops.store import logs
from llmops.store.paths import ProjectPaths
from tests.asked import ask
from tests.fast.served import deployment, register, wire_environment

pytestmark = pytest.mark.slow

WAITING = """\
name: town
listen: {port: 0}
variants:
  next: {model: "town@next"}
"""


@pytest.fixture
def file(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A deployment of which no variant names anything yet."""
    register(project)
    monkeypatch.setenv("LLMOPS_ENGINES_VLLM_PYTHON", str(wire_environment(project).python))
    monkeypatch.setenv("LLMOPS_CACHE", str(project / "cache"))
    return deployment(project, WAITING)


@pytest.fixture
def servers(file: Path) -> Iterator[Servers]:
    servers = Servers(load_settings())
    yield servers
    servers.close()


def ignore(_progress: Progress) -> None:
    pass


def test_a_version_is_served_before_any_alias_names_it_and_until_the_run_ends(
    file: Path, servers: Servers, project: Path
) -> None:
    told: list[str] = []
    with servers.answering(file, ["town:v2"], lambda now: told.append(now.phase)) as found:
        one = found["town:v2"]
        assert ask(one.endpoint, one.model, ["Hello"])[0].model == "town:v2"
        first = servers.reach(file, ignore)
    assert told[0] == "starting deployment town"
    with servers.answering(file, ["town:v1"], ignore):
        assert servers.reach(file, ignore) == first
    assert len(running(ProjectPaths(project).serving)) == 1
    servers.close()
    assert read_state(first.paths) is None


@pytest.mark.parametrize("said_as", logs.FORMATS)
def test_what_cannot_be_served_is_told_by_its_reason(
    file: Path, servers: Servers, said_as: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(logs.FORMAT, said_as)
    with (
        pytest.raises(Failed, match="could not be served: there is no version town:v9"),
        servers.answering(file, ["town:v9"], ignore),
    ):
        pytest.fail("it is served")
    paths = ProjectPaths(file.parent).deployment("town")
    assert last_state(paths) is None
    assert list(paths.wanted.iterdir()) == []
