import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from llmops.errors import BadInput, Failed
from llmops.registry.manifest import Draft, VersionId
from llmops.registry.store import Registry
from llmops.store.digest import sha256_file
from llmops.store.paths import ProjectPaths
from tests.fast.models_on_disk import BASE, write_adapter, write_full, write_safetensors


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(ProjectPaths(tmp_path))


@pytest.fixture
def full(tmp_path: Path) -> Path:
    return write_full(tmp_path / "full")


def draft(kind: str = "full", **more: object) -> Draft:
    return Draft.model_validate({"name": "town", "kind": kind, "stage": "sft", **more})


def test_an_empty_registry_has_no_models_and_creates_nothing(
    registry: Registry, tmp_path: Path
) -> None:
    assert registry.names() == []
    assert registry.versions("town") == []
    assert list(tmp_path.iterdir()) == []


def test_versions_are_numbered_and_listed_ascending(registry: Registry, full: Path) -> None:
    for _ in range(11):
        registry.add(draft(), full)
    assert [m.number for m in registry.versions("town")] == list(range(1, 12))
    assert registry.names() == ["town"]


def test_a_version_holds_the_digest_of_each_file(registry: Registry, full: Path) -> None:
    manifest = registry.add(draft(), full)
    directory = registry.directory(manifest)
    assert set(manifest.files) == {"config.json", "tokenizer.json", "model.safetensors"}
    assert all(sha256_file(directory / f) == digest for f, digest in manifest.files.items())
    assert registry.get(manifest.id) == manifest


def test_only_the_whitelist_is_copied(registry: Registry, full: Path) -> None:
    for name in ("optimizer.pt", "training_args.bin", "modeling_x.py", "preprocessor_config.json"):
        (full / name).write_text("x")
    manifest = registry.add(draft(), full)
    present = {path.name for path in registry.directory(manifest).iterdir()}
    assert present == {"config.json", "tokenizer.json", "model.safetensors", "manifest.json"}


def test_what_the_training_made_of_it_comes_back(registry: Registry, full: Path) -> None:
    golden = {"text": "a", "prompt_ids": [1], "completion_ids": [2], "logprobs": [-0.1]}
    lineage = {"parent": "town:v7", "run": "r"}
    given = draft(golden=[golden], metrics={"loss": 0.5}, lineage=lineage, parts={"data": "d"})
    registry.add(given, full)
    read = registry.resolve("town:v1")
    assert read.golden == given.golden
    assert (read.metrics, read.lineage, read.parts) == (given.metrics, given.lineage, given.parts)
    assert read.dtype == "float32"


def test_figures_that_are_not_finite_survive(registry: Registry, full: Path) -> None:
    golden = {"text": "a", "prompt_ids": [1], "completion_ids": [2], "logprobs": [-math.inf]}
    made = registry.add(draft(metrics={"loss": math.nan}, golden=[golden]), full)
    read = Registry(ProjectPaths(registry.root)).get(made.id)
    assert math.isnan(read.metrics["loss"])
    assert read.golden[0].logprobs == [-math.inf]


def test_a_later_change_of_the_source_does_not_reach_the_version(
    registry: Registry, full: Path
) -> None:
    manifest = registry.add(draft(), full)
    write_safetensors(full / "model.safetensors", BASE, fill=1)
    registry.verify(manifest)


def test_a_link_inside_the_source_is_copied_as_a_file(registry: Registry, full: Path) -> None:
    (full / "model.safetensors").rename(full / "checkpoint.data")
    (full / "model.safetensors").symlink_to("checkpoint.data")
    manifest = registry.add(draft(), full)
    assert not (registry.directory(manifest) / "model.safetensors").is_symlink()


def test_a_link_out_of_the_source_is_refused(
    registry: Registry, full: Path, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("{}")
    (full / "tokenizer.json").unlink()
    (full / "tokenizer.json").symlink_to(tmp_path / "secret")
    with pytest.raises(Failed, match=r"`tokenizer.json` is a link that leads out"):
        registry.add(draft(), full)
    assert registry.names() == []


def test_links_of_a_hub_cache_are_copied(registry: Registry, tmp_path: Path, full: Path) -> None:
    snapshot = tmp_path / "models--a--b" / "snapshots" / "0123"
    snapshot.mkdir(parents=True)
    full.rename(tmp_path / "models--a--b" / "blobs")
    for file in (tmp_path / "models--a--b" / "blobs").iterdir():
        (snapshot / file.name).symlink_to(f"../../blobs/{file.name}")
    registry.verify(registry.add(draft(), snapshot))


def test_an_adapter_names_its_registered_base(registry: Registry, full: Path) -> None:
    base = registry.add(draft(), full)
    source = write_adapter(full.parent / "adapter", "/somewhere/else")
    manifest = registry.add(draft("adapter", base="town:v1"), source)
    config = json.loads((registry.directory(manifest) / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "town:v1"
    assert (manifest.base_digest, manifest.lora_rank) == (base.digest, 2)
    registry.verify(manifest)


def test_the_digest_of_an_adapter_does_not_depend_on_where_its_base_lay(
    registry: Registry, full: Path
) -> None:
    registry.add(draft(), full)
    sources = [write_adapter(full.parent / name, f"/{name}") for name in ("a", "b")]
    made = [registry.add(draft("adapter", base="town:v1"), source) for source in sources]
    assert made[0].digest == made[1].digest


def test_a_base_in_a_directory_that_is_called_as_a_version_is_none(
    registry: Registry, tmp_path: Path
) -> None:
    on = draft("adapter", base="path:v1", base_digest="a" * 64)
    assert registry.add(on, write_adapter(tmp_path / "adapter")).base == "path:v1"


def test_an_adapter_without_a_base_is_refused(registry: Registry, tmp_path: Path) -> None:
    with pytest.raises(Failed, match="an adapter needs a base"):
        registry.add(draft("adapter"), write_adapter(tmp_path / "adapter"))


def test_an_adapter_on_an_adapter_is_refused(registry: Registry, full: Path) -> None:
    registry.add(draft(), full)
    source = write_adapter(full.parent / "adapter")
    registry.add(draft("adapter", base="town:v1"), source)
    with pytest.raises(Failed, match="town:v2 is an adapter"):
        registry.add(draft("adapter", base="town:v2"), source)


def test_an_adapter_on_another_state_of_its_base_is_refused(registry: Registry, full: Path) -> None:
    registry.add(draft(), full)
    source = write_adapter(full.parent / "adapter")
    with pytest.raises(Failed, match="another state of town:v1"):
        registry.add(draft("adapter", base="town:v1", base_digest="0"), source)


@pytest.mark.parametrize(
    ("text", "what", "fix"),
    [
        ("town:v9", "no version town:v9", "`town:v1`, `town:v2`"),
        ("twon:v1", "no model `twon`", "`town`"),
        ("town@prodution", "no alias `prodution`", "`production`"),
        ("town@v2", "no alias `v2`", "`town:v2`"),
        ("town", "`town` does not name a version", "`town:v2`"),
        ("path:x", "not in the registry", ""),
    ],
)
def test_a_miss_names_what_is_there(
    registry: Registry, full: Path, text: str, what: str, fix: str
) -> None:
    for _ in range(2):
        registry.add(draft(), full)
    registry.move("town", "production", 2, why="")
    with pytest.raises(BadInput, match=what) as caught:
        registry.resolve(text)
    assert fix in caught.value.fix


def test_an_alias_resolves_to_its_version(registry: Registry, full: Path) -> None:
    for _ in range(2):
        registry.add(draft(), full)
    registry.move("town", "production", 1, why="")
    assert registry.resolve("town@production").id == VersionId("town", 1)


def test_find_gives_the_newest_version_of_that_fingerprint(registry: Registry, full: Path) -> None:
    for fingerprint in ("a", "a", "b"):
        registry.add(draft(fingerprint=fingerprint), full)
    found = registry.find("town", "a")
    assert found is not None
    assert found.number == 2
    assert registry.find("town", "c") is None


def test_find_sees_versions_that_came_and_went_since(registry: Registry, full: Path) -> None:
    other = Registry(registry.paths)
    for number, fingerprint in enumerate(("a", "b", "c"), start=1):
        assert registry.find("town", fingerprint) is None
        other.add(draft(fingerprint=fingerprint), full)
        assert registry.find("town", fingerprint) == other.get(VersionId("town", number))
    shutil.rmtree(registry.paths.version("town", 2))
    assert registry.find("town", "b") is None
    assert registry.find("town", "a") is not None


@pytest.mark.parametrize("damage", ["missing", "cut off"])
def test_find_passes_over_a_version_that_is_not_whole(
    registry: Registry, full: Path, damage: str
) -> None:
    for _ in range(2):
        registry.add(draft(fingerprint="a"), full)
    weights = registry.directory(registry.resolve("town:v2")) / "model.safetensors"
    weights.unlink() if damage == "missing" else os.truncate(weights, 200)
    found = registry.find("town", "a")
    assert found is not None
    assert found.number == 1


def test_verify_names_the_damaged_file_even_when_its_times_are_unchanged(
    registry: Registry, full: Path
) -> None:
    manifest = registry.add(draft(), full)
    weights = registry.directory(manifest) / "model.safetensors"
    stat = weights.stat()
    weights.chmod(0o644)
    write_safetensors(weights, BASE, fill=1)
    os.utime(weights, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    with pytest.raises(Failed, match=r"town:v1 is damaged: `model.safetensors` has changed"):
        registry.verify(manifest)


def test_the_weights_of_a_new_version_are_not_read_to_know_their_digest(
    registry: Registry, full: Path
) -> None:
    manifest = registry.add(draft(), full)
    file = registry.directory(manifest) / "model.safetensors"
    file.chmod(0o644)
    stat = file.stat()
    file.write_bytes(bytes(stat.st_size))
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert registry.digests.file(file) == manifest.files[file.name]


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "manifest.json"])
def test_verify_sees_any_bit_that_flipped(registry: Registry, full: Path, name: str) -> None:
    golden = {"text": "a", "prompt_ids": [1], "completion_ids": [2], "logprobs": [-math.inf]}
    manifest = registry.add(draft(golden=[golden], metrics={"loss": math.nan}), full)
    file = registry.directory(manifest) / name
    content = bytearray(file.read_bytes())
    place = content.index(b'"a"') + 1 if name == "manifest.json" else len(content) // 2
    content[place] ^= 2
    file.chmod(0o644)
    file.write_bytes(content)
    with pytest.raises(Failed, match=f"town:v1 is damaged: `{name}` has changed"):
        registry.verify(Registry(registry.paths).get(manifest.id))


def test_verify_tells_how_far_it_is_with_what_is_large(registry: Registry, full: Path) -> None:
    """And reads it in threads."""
    write_safetensors(full / "model.safetensors", {"w": [4096, 1024]})
    manifest = registry.add(draft(), full)
    told: dict[str, list[int]] = {}
    registry.verify(manifest, lambda name, done, _size: told.setdefault(name, []).append(done))
    weights = registry.directory(manifest) / "model.safetensors"
    assert sorted(told["model.safetensors"]) == told["model.safetensors"]
    assert told["model.safetensors"][-1] == weights.stat().st_size
    weights.chmod(0o644)
    with weights.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"x")
    with pytest.raises(Failed, match=r"`model.safetensors` has changed"):
        registry.verify(manifest)


def test_verify_sees_missing_and_foreign_files(registry: Registry, full: Path) -> None:
    manifest = registry.add(draft(), full)
    (registry.directory(manifest) / "tokenizer.json").unlink()
    (registry.directory(manifest) / "chat_template.jinja").write_text("x")
    with pytest.raises(Failed, match=r"`chat_template.jinja` does not belong.*`tokenizer.json` is"):
        registry.verify(manifest)


def test_a_manifest_that_is_damaged_after_it_was_read_says_so(
    registry: Registry, full: Path
) -> None:
    path = registry.directory(registry.add(draft(), full)) / "manifest.json"
    assert len(registry.versions("town")) == 1
    path.unlink()
    path.write_text('{"name": "town"}')
    with pytest.raises(Failed, match="manifest of town:v1 cannot be read"):
        registry.versions("town")


def test_a_number_that_an_alias_remembers_is_not_given_again(
    registry: Registry, full: Path
) -> None:
    for _ in range(2):
        registry.add(draft(), full)
    registry.move("town", "production", 2, why="")
    directory = registry.directory(registry.resolve("town:v2"))
    directory.rename(directory.parents[3] / "gone")
    assert registry.add(draft(), full).number == 3


ADD = """
import sys
from pathlib import Path
from llmops.registry.manifest import Draft
from llmops.registry.store import Registry
from llmops.store.paths import ProjectPaths
registry = Registry(ProjectPaths(Path(sys.argv[1])))
def stop(name, done, size):
    if sys.argv[3] == "hang":
        print("copying", flush=True)
        sys.stdin.read()
draft = Draft(name="town", kind="full", stage="sft")
print(registry.add(draft, Path(sys.argv[2]), stop).number)
"""


def start_add(root: Path, source: Path, mode: str = "") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", ADD, str(root), str(source), mode],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_adds_at_the_same_time_get_distinct_numbers(tmp_path: Path, full: Path) -> None:
    started = [start_add(tmp_path, full) for _ in range(4)]
    numbers = sorted(int(process.communicate()[0]) for process in started)
    assert numbers == [1, 2, 3, 4]


def test_a_kill_in_the_middle_leaves_nothing_visible_and_the_next_add_sweeps(
    registry: Registry, tmp_path: Path, full: Path
) -> None:
    process = start_add(tmp_path, full, "hang")
    assert process.stdout is not None
    assert process.stdout.readline() == "copying\n"
    process.kill()
    process.communicate()
    folder = ProjectPaths(tmp_path).model("town")
    assert [path.name[:4] for path in folder.iterdir()] == [".v1."]
    assert registry.names() == []
    registry.add(draft(), full)
    assert [path.name for path in folder.iterdir()] == ["v1"]


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_full_disk_fails_and_leaves_nothing(tmp_path: Path, full: Path) -> None:
    write_safetensors(full / "model.safetensors", {"w": [1024, 1024]})
    project = tmp_path / "small"
    project.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(project)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("this system does not let us mount a small disk")
    try:
        registry = Registry(ProjectPaths(project))
        with pytest.raises(Failed, match="no space left on the disk"):
            registry.add(draft(), full)
        assert registry.names() == []
        assert list(ProjectPaths(project).model("town").iterdir()) == []
    finally:
        subprocess.run(["umount", str(project)], check=True)
