"""Models that exist, registered with golden prompts from the real training engine."""

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from llmops.engines.contract import Environment
from llmops.registry.store import Registry
from llmops.store.paths import ProjectPaths
from tests.conftest import run_llmops
from tests.waiting import until

pytestmark = pytest.mark.engine

MAKE_ADAPTER = """
import sys, torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM
model = AutoModelForCausalLM.from_pretrained(sys.argv[1])
torch.manual_seed(0)
config = LoraConfig(r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
get_peft_model(model, config).save_pretrained(sys.argv[2])
"""


@pytest.fixture(scope="module")
def adapter(
    llamafactory: Environment, tiny_base: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """An adapter by PEFT itself, with random weights, whose config names the base's directory."""
    directory = tmp_path_factory.mktemp("adapter")
    argv = [llamafactory.python, "-c", MAKE_ADAPTER, tiny_base, directory]
    subprocess.run(argv, check=True, capture_output=True)
    return directory


def test_a_full_model_gets_golden_prompts(
    project: Path, tiny_base: Path, llamafactory: Environment
) -> None:
    source = project / "download"
    shutil.copytree(tiny_base, source)
    done = run_llmops("models", "add", "found", source, cwd=project)
    assert (done.returncode, done.stdout) == (0, "found:v1\n"), done.stderr
    manifest = Registry(ProjectPaths(project)).resolve("found:v1")
    assert len(manifest.golden) >= 2
    assert manifest.golden[0].messages is not None
    assert manifest.golden[0].base_logprobs is None
    assert manifest.lineage.engine_version == llamafactory.version


def test_an_adapter_gets_golden_prompts_that_tell_it_from_its_base(
    project: Path, tiny_base: Path, adapter: Path
) -> None:
    run_llmops("models", "add", "found", tiny_base, "--no-engine-check", cwd=project)
    done = run_llmops("models", "add", "found", adapter, "--base", "found:v1", cwd=project)
    assert (done.returncode, done.stdout) == (0, "found:v2\n"), done.stderr
    manifest = Registry(ProjectPaths(project)).resolve("found:v2")
    assert (manifest.kind, manifest.lora_rank, manifest.base) == ("adapter", 4, "found:v1")
    golden = manifest.golden[0]
    assert golden.base_logprobs is not None
    far = [abs(a - b) for a, b in zip(golden.logprobs, golden.base_logprobs, strict=True)]
    assert max(far) > 0.01


def test_an_adapter_finds_the_directory_that_its_config_names(
    project: Path, tiny_base: Path, adapter: Path
) -> None:
    done = run_llmops("models", "add", "found", adapter, "--no-engine-check", cwd=project)
    assert done.returncode == 0, done.stderr
    manifest = Registry(ProjectPaths(project)).resolve("found:v1")
    assert manifest.base == f"path:{tiny_base}"


def test_a_model_that_the_engine_cannot_run_is_not_registered(
    project: Path, tiny_base: Path
) -> None:
    source = project / "download"
    shutil.copytree(tiny_base, source)
    (source / "config.json").unlink()
    (source / "config.json").write_text('{"model_type": "of_no_engine"}')
    done = run_llmops("models", "add", "found", source, cwd=project)
    assert done.returncode == 1
    assert "the training engine cannot run this model" in done.stderr
    assert "of_no_engine" in done.stderr
    assert not (project / ".llmops" / "models").exists()


def test_sigterm_ends_the_worker_too(project: Path, tiny_base: Path) -> None:
    argv = [sys.executable, "-m", "llmops", "models", "add", "found", str(tiny_base)]
    process = subprocess.Popen(argv, stderr=subprocess.PIPE, text=True)
    worker = the_child_of(psutil.Process(process.pid))
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert not worker.is_running()
    assert not (project / ".llmops" / "models").exists()


def the_child_of(process: psutil.Process) -> psutil.Process:
    """The golden worker, once it is there (an own environment is asked for its version first)."""

    def workers() -> list[psutil.Process]:
        return [child for child in process.children() if "golden.py" in " ".join(child.cmdline())]

    return until(workers, 60)[0]
