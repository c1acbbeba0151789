"""What a training starts from is read before it starts."""

from pathlib import Path
from typing import Any, cast

import pytest

from llmops.errors import Failed
from llmops.registry.locate import locate
from llmops.registry.manifest import Draft
from llmops.registry.store import Registry
from llmops.registry.verification import verify_used
from llmops.runner.stage import Attempt, Context
from llmops.spec.settings import load_settings
from llmops.stages.train import Train
from llmops.store.paths import ProjectPaths
from tests.fast.models_on_disk import write_adapter, write_full


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """town:v2 is an adapter on town:v1."""
    registry = Registry(ProjectPaths(tmp_path))
    registry.add(Draft(name="town", kind="full", stage="base"), write_full(tmp_path / "m"))
    adapter = Draft(name="town", kind="adapter", stage="sft", base="town:v1")
    registry.add(adapter, write_adapter(tmp_path / "a"))
    return registry


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.chmod(0o644)
    file.write_bytes(content)


@pytest.mark.parametrize(("damaged", "name"), [(1, "model"), (2, "adapter_model")])
def test_a_bit_that_flipped_is_not_trained_from(
    registry: Registry, damaged: int, name: str
) -> None:
    found = locate("town:v2", registry, registry.root)
    verify_used(found, registry)
    flip(registry.paths.version("town", damaged) / f"{name}.safetensors")
    with pytest.raises(Failed, match=f"town:v{damaged} is damaged"):
        verify_used(found, registry)
    context = Context(load_settings(registry.root))
    with pytest.raises(Failed, match=f"town:v{damaged} is damaged"):
        Train()._train(cast(Any, None), found, cast(Attempt, None), context)


def test_what_is_not_registered_is_taken_as_it_is(registry: Registry) -> None:
    verify_used(locate("path:m", registry, registry.root), registry)
