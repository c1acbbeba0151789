"""What is made of a trained adapter, looked at by the training engine itself."""

import shutil
from pathlib import Path

import pytest

from llmops.publish.checked import MERGED
from llmops.registry.store import Registry
from llmops.store.paths import ProjectPaths
from tests.conftest import run_llmops

pytestmark = pytest.mark.engine


@pytest.fixture
def town(project: Path, town_project: Path) -> Registry:
    """Versions as the loop's first turn left them: town:v2 is an adapter, by DPO."""
    shutil.copytree(town_project / ".llmops" / "models", project / ".llmops" / "models")
    return Registry(ProjectPaths(project))


def test_a_merged_version_says_what_base_and_adapter_say(town: Registry) -> None:
    done = run_llmops("models", "merge", "town:v2", "--to", "merged", cwd=town.root)
    assert (done.returncode, done.stdout) == (0, "merged:v1\n"), done.stderr
    made, source = town.resolve("merged:v1"), town.resolve("town:v2")
    assert made.metrics["logprob_difference"] <= MERGED["float32"] / 10
    prompts = [[one.messages or one.text for one in found.golden] for found in (made, source)]
    assert prompts[0] == prompts[1] != []


def test_a_compressed_version_is_near_and_tells_how_near(town: Registry) -> None:
    argv = ("models", "compress", "town:v2", "--rank", "4", "--to", "small")
    done = run_llmops(*argv, cwd=town.root)
    assert (done.returncode, done.stdout) == (0, "small:v1\n"), done.stderr
    made = town.resolve("small:v1")
    assert 0 < made.metrics["logprob_difference"] < 2
    assert made.golden[0].base_logprobs is not None
    assert f"differ by {made.metrics['logprob_difference']:.2g}" in done.stderr
