"""What a vLLM can take besides: adapters on a class of models, and a second server."""

import os
from pathlib import Path

import pytest

from llmops.environments.machine import memory
from llmops.serving.backends.architectures import takes_adapters
from llmops.serving.memory import resident, why_not
from llmops.serving.served import Served
from llmops.spec.deployment import VllmBackend

REGISTRY = """\
_MODELS = {
    "PlainForCausalLM": ("plain", "Plain"),
    "ChildForCausalLM": ("child", "Child"),
    "BareForCausalLM": ("bare", "Bare"),
    "LostForCausalLM": ("lost", "Lost"),
}
"""
SOURCES = {
    "registry": REGISTRY,
    "plain": "class Plain(nn.Module, SupportsLoRA, SupportsPP):\n    pass\n",
    "child": "from .plain import Plain as F\nclass Mid(F):\n  pass\nclass Child(Mid):\n  pass\n",
    "bare": "class Bare(nn.Module):\n    pass\n",
}


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """As much of vLLM's source as is read."""
    folder = tmp_path / "site" / "vllm" / "model_executor" / "models"
    folder.mkdir(parents=True)
    for name, text in SOURCES.items():
        (folder / f"{name}.py").write_text(text)
    return tmp_path / "site"


@pytest.mark.parametrize(
    ("architecture", "expected"),
    [("Plain", True), ("Child", True), ("Bare", False), ("Lost", None), ("Unlisted", None)],
)
def test_a_class_takes_adapters_when_an_ancestor_says_so(
    site: Path, tmp_path: Path, architecture: str, expected: bool | None
) -> None:
    (tmp_path / "config.json").write_text(f'{{"architectures": ["{architecture}ForCausalLM"]}}')
    assert takes_adapters(site, tmp_path) is expected


def test_a_model_without_a_config_is_unknown(site: Path, tmp_path: Path) -> None:
    assert takes_adapters(site, tmp_path) is None


def model(folder: Path, size: int) -> Served:
    folder.mkdir()
    with (folder / "model.safetensors").open("wb") as file:
        file.truncate(size)
    return Served(folder.name, "full", folder, folder.name, None, (), None)


def test_the_first_server_always_fits(tmp_path: Path) -> None:
    assert why_not(model(tmp_path / "a", 1 << 40), VllmBackend(), cpu=True, running={}) == ""


def test_a_second_one_needs_what_the_first_uses_with_its_own_weights(tmp_path: Path) -> None:
    small, huge = model(tmp_path / "small", 10), model(tmp_path / "huge", 1 << 40)
    me = os.getpgid(0)
    assert why_not(small, VllmBackend(), cpu=True, running={me: small}) == ""
    assert "GB of memory" in why_not(huge, VllmBackend(), cpu=True, running={me: small})


def test_a_server_whose_memory_cannot_be_found_out_leaves_no_room(tmp_path: Path) -> None:
    one = model(tmp_path / "one", 10)
    assert "cannot be found out" in why_not(
        one, VllmBackend(), cpu=True, running={999_999_999: one}
    )


def test_memory_is_read_from_the_kernel() -> None:
    assert memory()[1] > 1 << 20
    assert (resident(os.getpgid(0)) or 0) > 1 << 20
    assert resident(999_999_999) is None


def test_a_container_has_what_its_limit_leaves(tmp_path: Path) -> None:
    """Less what the kernel would give back of the files that were read."""
    for name, text in (
        ("memory.max", "1000\n"),
        ("memory.current", "900\n"),
        ("memory.stat", "anon 500\ninactive_file 300\n"),
    ):
        (tmp_path / name).write_text(text)
    assert memory(tmp_path) == (1000, 400)


@pytest.mark.parametrize(
    ("args", "told"),
    [
        ({}, "takes 92% of a GPU's memory"),
        ({"gpu-memory-utilization": 0.6}, "do not fit on one GPU; at most 0.47 does"),
        ({"gpu_memory_utilization": 0.45}, ""),
    ],
)
def test_servers_share_a_gpu_by_declared_fractions(
    tmp_path: Path, args: dict[str, float], told: str
) -> None:
    one = model(tmp_path / "one", 10)
    why = why_not(one, VllmBackend(args=args), cpu=False, running={1: one})
    assert told in why
    assert bool(why) == bool(told)
