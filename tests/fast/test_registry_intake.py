"""What comes into the registry: only what belongs to a model, and as one moment saw it."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from llmops.errors import BadInput, Failed
from llmops.registry.files import INDEX, TEXT_LIMIT, check_code, model_files
from llmops.registry.intake import copy_file
from llmops.registry.manifest import Draft
from llmops.registry.store import Registry
from llmops.store.paths import ProjectPaths
from tests.fast.models_on_disk import write_adapter, write_full

WEIGHTS = "model.safetensors"


@pytest.fixture
def full(tmp_path: Path) -> Path:
    return write_full(tmp_path / "full")


def add(full: Path, meanwhile: Callable[[str], None] = lambda _name: None) -> Registry:
    """meanwhile: called while a file is copied, with its name."""
    registry = Registry(ProjectPaths(full.parent / "project"))
    draft = Draft(name="town", kind="full", stage="import")
    registry.add(draft, full, lambda name, _done, _size: meanwhile(name))
    return registry


def write_index(full: Path, shard: str) -> None:
    (full / INDEX).write_text(json.dumps({"weight_map": {"w": shard}}))


@pytest.mark.parametrize(
    "shard",
    ["../full/model.safetensors", "/etc/x.safetensors", "..", "a\0.safetensors", ".x.safetensors"],
)
def test_an_index_leads_nowhere_else(full: Path, shard: str) -> None:
    write_index(full, shard)
    with pytest.raises(BadInput, match="is not the name of a weight file"):
        model_files(full, "full")


def test_a_file_that_is_named_twice_is_taken_once(full: Path) -> None:
    (full / WEIGHTS).rename(full / "value_head.safetensors")
    write_index(full, "value_head.safetensors")
    header = json.loads((full / "value_head.safetensors").read_bytes()[8:].split(b"}}")[0] + b"}}")
    (full / INDEX).write_text(
        json.dumps({"weight_map": dict.fromkeys(header, "value_head.safetensors")})
    )
    names = model_files(full, "full")
    assert names == sorted({*names})


@pytest.mark.parametrize("name", ["tokenizer.json", INDEX])
def test_a_text_that_is_too_large_is_refused(full: Path, name: str) -> None:
    with (full / name).open("wb") as file:
        file.truncate(TEXT_LIMIT + 1)
    with pytest.raises(BadInput, match=f"`{name}` has 256,000,001 bytes"):
        model_files(full, "full")


def test_a_text_that_is_nested_without_end_is_refused(full: Path) -> None:
    (full / INDEX).write_text("[" * 100_000)
    with pytest.raises(BadInput, match="not readable as JSON"):
        model_files(full, "full")


@pytest.mark.parametrize("name", ["tokenizer.json", WEIGHTS])
def test_a_pipe_is_no_file_of_a_model(full: Path, name: str) -> None:
    (full / name).unlink()
    os.mkfifo(full / name)
    with pytest.raises(Failed, match=r"no tokenizer|is missing"):
        add(full)


def test_a_pipe_that_takes_a_files_place_is_not_waited_for(full: Path, tmp_path: Path) -> None:
    os.mkfifo(full / "pipe")
    with pytest.raises(Failed, match="`pipe` is not a regular file"):
        copy_file(full / "pipe", tmp_path / "copy", None)


def test_a_hard_link_is_copied(full: Path) -> None:
    os.link(full / WEIGHTS, full.parent / "another name")
    registry = add(full)
    (full.parent / "another name").write_bytes(b"changed")
    registry.verify(registry.resolve("town:v1"))


@pytest.mark.parametrize("named", ["config.json", "tokenizer_config.json"])
def test_a_model_with_code_of_its_own_is_refused(full: Path, named: str) -> None:
    check_code(full)
    (full / named).write_text('{"auto_map": {"AutoModel": "modeling.Model"}}')
    with pytest.raises(BadInput, match="names code of its own, `auto_map`: AutoModel"):
        check_code(full)


def test_code_beside_an_adapter_is_not_taken(tmp_path: Path) -> None:
    adapter = write_adapter(tmp_path / "adapter")
    (adapter / "modeling.py").write_text("raise SystemExit")
    assert model_files(adapter, "adapter") == ["adapter_config.json", "adapter_model.safetensors"]


def grow(file: Path) -> None:
    with file.open("ab") as opened:
        opened.write(b"more")


def replace(file: Path) -> None:
    (file.parent / "new").write_bytes(file.read_bytes())
    (file.parent / "new").replace(file)


@pytest.mark.parametrize("change", [grow, replace, Path.unlink, lambda file: os.truncate(file, 9)])
@pytest.mark.parametrize("name", ["config.json", WEIGHTS])
def test_a_source_that_changes_meanwhile_is_not_registered(
    full: Path, change: Callable[[Path], None], name: str
) -> None:
    """config.json is copied by then, the weights are to come."""
    changed = []

    def meanwhile(_copied: str) -> None:
        if not changed:
            changed.append(change(full / name))

    with pytest.raises(Failed, match=f"`{name}` changed while it was copied"):
        add(full, meanwhile)
    assert Registry(ProjectPaths(full.parent / "project")).names() == []


def test_the_digest_is_of_what_was_written(full: Path, tmp_path: Path) -> None:
    digest = copy_file(full / WEIGHTS, tmp_path / "copy", None)
    assert digest == hashlib.sha256((tmp_path / "copy").read_bytes()).hexdigest()
