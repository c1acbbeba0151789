"""Bases that lie in the user's Hugging Face cache."""

from pathlib import Path

import pytest

from llmops.errors import BadInput, Failed
from llmops.registry.hub.cache import hub_cache, not_cached
from llmops.registry.locate import Located, locate
from llmops.registry.manifest import Draft
from llmops.registry.store import Registry
from llmops.serving.copies import Copies
from llmops.serving.resolve import Resolver
from llmops.serving.served import served
from llmops.spec.load import load_deployment
from llmops.spec.reference import parse_reference
from llmops.store.paths import ProjectPaths
from tests.fast.models_on_disk import COMMIT, write_adapter, write_cached, write_full

NAME = "Org/Small-0.1B"


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    return Registry(ProjectPaths(tmp_path / "project"))


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    return write_cached(tmp_path / "hub", NAME, write_full(tmp_path / "m"))


def at(text: str, registry: Registry) -> Located:
    return locate(text, registry, registry.root)


def test_a_name_is_pinned_to_the_commit_of_its_branch(registry: Registry, snapshot: Path) -> None:
    found = at(f"hub:{NAME}", registry)
    assert (found.id, found.files.directory) == (f"hub:{NAME}@{COMMIT}", snapshot)
    assert at(found.id, registry) == found


def test_the_commit_holds_when_the_branch_has_moved(
    registry: Registry, snapshot: Path, tmp_path: Path
) -> None:
    pinned = at(f"hub:{NAME}", registry)
    write_cached(tmp_path / "hub", NAME, write_full(tmp_path / "n", fill=1), commit="e" * 40)
    assert at(f"hub:{NAME}", registry).digest != pinned.digest
    assert at(pinned.id, registry) == pinned


def test_it_has_the_digest_of_the_same_files_in_a_directory(
    registry: Registry, snapshot: Path, tmp_path: Path
) -> None:
    assert at(f"hub:{NAME}", registry).digest == at(f"path:{tmp_path / 'm'}", registry).digest


def test_weights_are_known_by_the_name_of_their_blob(registry: Registry, snapshot: Path) -> None:
    weights = (snapshot / "model.safetensors").resolve()
    assert registry.digests.file(snapshot / "model.safetensors") == weights.name
    before = at(f"hub:{NAME}", registry).digest
    config = (snapshot / "config.json").resolve()
    config.write_text('{"model_type": "qwen3"}')  # a git id is no sha256: this one is read
    assert at(f"hub:{NAME}", registry).digest != before


def test_a_blob_that_is_not_what_its_name_says_is_not_served(
    registry: Registry, snapshot: Path
) -> None:
    found = at(f"hub:{NAME}", registry)
    weights = (snapshot / "model.safetensors").resolve()
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    copies = Copies(registry.paths.deployment("town"), registry.digests)
    with pytest.raises(Failed, match="download is damaged"):
        copies.make([served(found, registry, registry.root)])
    assert not list(registry.paths.deployment("town").copies.glob("hub*"))


def test_an_adapter_on_it_is_served_on_it(
    registry: Registry, snapshot: Path, tmp_path: Path
) -> None:
    base = at(f"hub:{NAME}", registry)
    draft = Draft(name="town", kind="adapter", stage="sft", base=base.id, base_digest=base.digest)
    registry.add(draft, write_adapter(tmp_path / "a"))
    one = served(at("town:v1", registry), registry, registry.root)
    made = Copies(registry.paths.deployment("town"), registry.digests).make([one])
    assert set(made) == {base.id, "town:v1"}
    assert (made[base.id] / "model.safetensors").read_bytes()


@pytest.mark.parametrize("named", [NAME, f"hub:{NAME}@{COMMIT}"])
def test_an_adapter_may_name_its_base_as_the_hub_does(
    registry: Registry, snapshot: Path, tmp_path: Path, named: str
) -> None:
    write_adapter(tmp_path / "a", named)
    assert at(f"path:{tmp_path / 'a'}", registry).base == f"hub:{NAME}@{COMMIT}"


@pytest.mark.parametrize(
    ("text", "looked"),
    [
        ("hub:Org/Other", "models--Org--Other/refs/main"),
        (f"hub:{NAME}@v2", "models--Org--Small-0.1B/refs/v2"),
        (f"hub:{NAME}@{'a' * 40}", f"snapshots/{'a' * 40}"),
    ],
)
def test_what_is_not_there_says_where_it_was_looked_for(
    registry: Registry, snapshot: Path, text: str, looked: str
) -> None:
    with pytest.raises(BadInput, match=looked) as caught:
        at(text, registry)
    assert "`llmops models download hub:Org/" in caught.value.fix


def test_half_a_download_says_how_to_get_the_rest(registry: Registry, snapshot: Path) -> None:
    (snapshot / "model.safetensors").unlink()
    with pytest.raises(BadInput, match=r"`model.safetensors` is missing") as caught:
        at(f"hub:{NAME}", registry)
    assert f"`llmops models download hub:{NAME}@{COMMIT}` brings" in caught.value.fix


@pytest.mark.parametrize(
    ("environ", "place"),
    [
        ({"HF_HUB_CACHE": "/a", "HF_HOME": "/b"}, "/a"),
        ({"HF_HOME": "/b", "XDG_CACHE_HOME": "/c"}, "/b/hub"),
        ({"XDG_CACHE_HOME": "/c"}, "/c/huggingface/hub"),
        ({}, str(Path.home() / ".cache/huggingface/hub")),
    ],
)
def test_the_cache_lies_where_the_hubs_own_client_keeps_it(
    environ: dict[str, str], place: str
) -> None:
    assert str(hub_cache(environ)) == place


def test_a_deployment_of_what_is_not_here_says_where_and_what_brings_it(
    registry: Registry, tmp_path: Path
) -> None:
    file = tmp_path / "town.yaml"
    file.write_text(f'name: t\nbackend: {{kind: vllm}}\nvariants: {{a: {{model: "hub:{NAME}"}}}}\n')
    resolved = Resolver(load_deployment(file, []), registry, tmp_path).resolve()
    error = resolved.problems["a"]
    assert error.where == f"{file}:3: variants.a.model"
    assert f"`llmops models download hub:{NAME}@main`" in error.fix


def test_a_version_on_what_is_not_here_says_what_brings_it(
    registry: Registry, snapshot: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = at(f"hub:{NAME}", registry)
    draft = Draft(name="town", kind="adapter", stage="sft", base=base.id, base_digest=base.digest)
    registry.add(draft, write_adapter(tmp_path / "a"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "another"))
    with pytest.raises(BadInput, match="the base of town:v1 cannot be used") as caught:
        at("town:v1", registry)
    assert not_cached(caught.value) == parse_reference(base.id)


def test_it_is_served_in_the_precision_that_it_is_stored_in(
    registry: Registry, snapshot: Path
) -> None:
    """Left to itself vLLM serves float32 in half of it, and an adapter on it fits no more."""
    one = served(at(f"hub:{NAME}", registry), registry, registry.root)
    assert one.dtype == "float32"
