import json
from pathlib import Path

import pytest

from llmops.errors import Failed
from llmops.serving.copies import Copies
from llmops.store.digest import Digests
from llmops.store.paths import ProjectPaths
from tests.fast.served import planned, register


@pytest.fixture
def town(project: Path) -> Path:
    register(project)
    return project


def make(root: Path, *overrides: str) -> dict[str, Path]:
    paths = ProjectPaths(root)
    versions = planned(root, *overrides).versions
    copies = Copies(paths.deployment("town"), Digests(paths))
    copies.sweep(versions)
    return copies.make(versions)


def test_a_copy_holds_the_files_of_the_version(town: Path) -> None:
    copy = make(town)["town:v1"]
    source = ProjectPaths(town).version("town", 1)
    weights = "model.safetensors"
    assert (copy / weights).read_bytes() == (source / weights).read_bytes()
    assert not (copy / weights).samefile(source / weights)


def test_an_adapters_copy_names_the_copy_of_its_base(town: Path) -> None:
    copies = make(town)
    config = json.loads((copies["town:v2"] / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == str(copies["town:v1"])


def test_a_whole_copy_is_used_again(town: Path) -> None:
    before = {path: path.stat().st_ino for path in make(town).values()}
    assert {path: path.stat().st_ino for path in make(town).values()} == before


def test_a_copy_that_was_changed_is_made_again(town: Path) -> None:
    weights = make(town)["town:v2"] / "adapter_model.safetensors"
    good = weights.read_bytes()
    weights.write_bytes(bytes(len(good)))
    make(town)
    assert weights.read_bytes() == good


def test_a_copy_that_lost_a_file_is_made_again(town: Path) -> None:
    config = make(town)["town:v1"] / "config.json"
    config.unlink()
    make(town)
    assert config.is_file()


def test_a_version_that_was_changed_is_refused_by_file(town: Path) -> None:
    weights = ProjectPaths(town).version("town", 2) / "adapter_model.safetensors"
    weights.chmod(0o644)
    weights.write_bytes(bytes(weights.stat().st_size - 1) + b"x")
    with pytest.raises(Failed, match=r"town:v2 is not what was registered: adapter_model"):
        make(town)
    assert not list(ProjectPaths(town).deployment("town").copies.glob("*town-v2*"))


def test_copies_that_are_not_in_use_are_removed(town: Path) -> None:
    before = make(town)["town:v2"]
    (before.parent / ".half-made").mkdir()
    make(town, "variants.after.model=town:v1")
    assert [path.name[:7] for path in before.parent.iterdir()] == ["town-v1"]
