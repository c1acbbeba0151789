"""Exports: whole or absent, and with a record of what they were made of."""

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from llmops.cli.models import app
from llmops.errors import BadInput, Failed
from llmops.publish.export import export
from llmops.registry.manifest import Draft
from llmops.registry.store import Registry
from llmops.store.digest import sha256_file
from llmops.store.paths import ProjectPaths
from tests.fast.chat_model_on_disk import HIDDEN, write_chat_model
from tests.fast.lora_on_disk import random, write_lora


@pytest.fixture
def registry(project: Path) -> Registry:
    """With town-base:v1, a chat model, and town:v1, an adapter on it."""
    made = Registry(ProjectPaths(project))
    base = write_chat_model(project / "base")
    made.add(Draft(name="town-base", kind="full", stage="base"), base)
    factors = {"model.layers.0.self_attn.q_proj": (random(1, 2, HIDDEN), random(2, HIDDEN, 2))}
    draft = Draft(name="town", kind="adapter", stage="sft", base="town-base:v1")
    made.add(draft, write_lora(project / "adapter", factors))
    return made


@pytest.mark.parametrize(
    ("version", "form", "source", "names"),
    [
        ("town:v1", "ollama", None, {"Modelfile", "adapter.gguf", "base.gguf"}),
        ("town:v1", "ollama", "qwen2.5:0.5b", {"Modelfile", "adapter.gguf"}),
        ("town-base:v1", "ollama", None, {"Modelfile", "model.gguf"}),
        ("town:v1", "gguf", None, {"adapter.gguf"}),
        ("town-base:v1", "gguf", None, {"model.gguf"}),
        ("town:v1", "safetensors", None, {"adapter_config.json", "adapter_model.safetensors"}),
    ],
)
def test_an_export_is_what_its_record_says(
    registry: Registry, tmp_path: Path, version: str, form: str, source: str | None, names: set[str]
) -> None:
    target = tmp_path / "out"
    export(version, form, target, registry, source=source)
    record = json.loads((target / "llmops-export.json").read_text())
    assert record["files"] == {name: sha256_file(target / name) for name in names}
    assert {path.name for path in target.iterdir()} == {*names, "llmops-export.json"}
    assert (record["version"], record["digest"]) == (version, registry.resolve(version).digest)
    if "Modelfile" in names:
        first = (target / "Modelfile").read_text().splitlines()[0]
        assert first == f"FROM {source or './' + ('base' if 'base.gguf' in names else 'model')}" + (
            "" if source else ".gguf"
        )


def test_nothing_is_overwritten_unless_it_is_an_export(registry: Registry, tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.mkdir()
    (target / "thesis.txt").write_text("mine")
    for force in (False, True):
        with pytest.raises(BadInput, match="something is there already"):
            export("town:v1", "safetensors", target, registry, force=force)
    assert [path.name for path in target.iterdir()] == ["thesis.txt"]


def test_an_earlier_export_is_replaced_when_asked(registry: Registry, tmp_path: Path) -> None:
    target = tmp_path / "out"
    export("town:v1", "safetensors", target, registry)
    with pytest.raises(BadInput, match="something is there already"):
        export("town-base:v1", "gguf", target, registry)
    export("town-base:v1", "gguf", target, registry, force=True)
    assert {path.name for path in tmp_path.iterdir()} == {"out", "project"}
    assert {path.name for path in target.iterdir()} == {"model.gguf", "llmops-export.json"}


@pytest.mark.parametrize("named", [".", "../link"])
def test_an_export_is_replaced_by_whatever_name(
    registry: Registry, tmp_path: Path, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "out"
    export("town:v1", "safetensors", target, registry)
    (tmp_path / "link").symlink_to(target)
    monkeypatch.chdir(target)
    export("town-base:v1", "gguf", Path(named), registry, force=True)
    assert {path.name for path in target.iterdir()} == {"model.gguf", "llmops-export.json"}


def test_an_export_that_is_killed_while_the_old_one_goes_is_whole(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, remove = tmp_path / "out", shutil.rmtree
    export("town:v1", "safetensors", target, registry)

    def killed(path: Path, **options: bool) -> None:
        if Path(path, "llmops-export.json").exists():
            Path(path, "llmops-export.json").unlink()
            raise KeyboardInterrupt
        remove(path, **options)

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            export("town-base:v1", "gguf", target, registry, force=True)
    export("town-base:v1", "gguf", target, registry, force=True)
    assert {path.name for path in tmp_path.iterdir()} == {"out", "project"}


def test_what_fails_leaves_nothing(registry: Registry, tmp_path: Path) -> None:
    weights = registry.directory(registry.resolve("town-base:v1")) / "model.safetensors"
    weights.chmod(0o644)
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(Failed, match="town-base:v1 is damaged"):
        export("town:v1", "ollama", tmp_path / "out", registry)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("args", [("--format", "onnx"), ("--format", "gguf", "--type", "q2")])
def test_what_cannot_be_written_is_named(registry: Registry, args: tuple[str, ...]) -> None:
    done = CliRunner().invoke(app, ["export", "town:v1", "--to", "out", *args])
    assert isinstance(done.exception, BadInput)
    assert done.exception.what == f"`{args[-1]}` cannot be written"
    assert not Path("out").exists()
