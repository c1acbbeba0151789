from pathlib import Path

import pytest

from llmops.errors import BadInput, Failed
from llmops.registry.locate import Located, locate, located
from llmops.registry.manifest import Draft
from llmops.registry.store import Registry
from llmops.store.paths import ProjectPaths
from tests.fast.models_on_disk import BASE, write_adapter, write_full, write_safetensors


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(ProjectPaths(tmp_path))


def at(text: str, registry: Registry) -> Located:
    return locate(text, registry, registry.root, beside=registry.root / "recipes" / "sft.yaml")


def add_full(registry: Registry) -> None:
    draft = Draft(name="town", kind="full", stage="base")
    registry.add(draft, write_full(registry.root / "m"))


def add_adapter(registry: Registry, base: str, digest: str | None = None) -> None:
    draft = Draft(name="town", kind="adapter", stage="sft", base=base, base_digest=digest)
    registry.add(draft, write_adapter(registry.root / "a"))


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        ("config.json", "[]", "expected a JSON object"),
        ("config.json", "{", "not readable as JSON"),
        ("model.safetensors", "x", "not a complete safetensors file"),
    ],
)
def test_a_damaged_directory_is_no_base(
    registry: Registry, file: str, text: str, words: str
) -> None:
    (write_full(registry.root / "m") / file).write_text(text, encoding="utf-8")
    with pytest.raises(BadInput, match=words):
        at("path:m", registry)


def test_a_version_and_an_alias_of_it_are_the_same(registry: Registry) -> None:
    add_full(registry)
    registry.move("town", "anchor", 1, why="")
    found = at("town:v1", registry)
    assert at("town@anchor", registry) == found == located(registry.resolve("town:v1"), registry)
    assert found.files.directory == registry.root / ".llmops/models/town/v1"
    assert (found.id, found.kind, found.files.adapter) == ("town:v1", "full", None)


def test_an_adapter_version_lies_on_its_base(registry: Registry) -> None:
    add_full(registry)
    add_adapter(registry, "town:v1")
    found = at("town:v2", registry)
    base = at("town:v1", registry)
    assert found.files.directory == base.files.directory
    assert found.files.adapter == registry.root / ".llmops/models/town/v2"
    assert (found.base, found.base_digest) == ("town:v1", base.digest)


def test_a_directory_has_the_digest_of_the_version_made_from_it(registry: Registry) -> None:
    add_full(registry)
    found = at("path:m", registry)
    assert (found.id, found.manifest) == ("path:m", None)
    assert found.digest == at("town:v1", registry).digest


def test_a_directory_beside_the_declaration_goes_first(registry: Registry) -> None:
    write_full(registry.root / "m")
    write_full(registry.root / "recipes" / "m", fill=1)
    assert at("path:m", registry).id == "path:recipes/m"


def test_files_that_are_no_part_of_a_model_do_not_change_its_digest(registry: Registry) -> None:
    directory = write_full(registry.root / "m")
    before = at("path:m", registry).digest
    (directory / "optimizer.pt").write_text("x")
    assert at("path:m", registry).digest == before
    write_safetensors(directory / "model.safetensors", BASE, fill=1)
    assert at("path:m", registry).digest != before


def test_an_adapter_directory_lies_on_the_base_that_it_names(registry: Registry) -> None:
    base = write_full(registry.root / "m")
    write_adapter(registry.root / "a", str(base))
    found = at("path:a", registry)
    assert (found.files.directory, found.files.adapter) == (base, registry.root / "a")
    assert found.base == "path:m"


def test_the_directory_of_a_registered_adapter_finds_its_base(registry: Registry) -> None:
    add_full(registry)
    add_adapter(registry, "town:v1")
    assert at("path:.llmops/models/town/v2", registry).base == "town:v1"


def test_an_adapter_directory_that_does_not_fit_its_base_is_refused(registry: Registry) -> None:
    base = write_full(registry.root / "m")
    write_safetensors(base / "model.safetensors", {"model.q_proj.weight": [6, 5]})
    write_adapter(registry.root / "a", str(base))
    with pytest.raises(BadInput, match="does not fit its base"):
        at("path:a", registry)


def test_a_base_that_is_an_adapter_is_refused(registry: Registry) -> None:
    add_full(registry)
    add_adapter(registry, "town:v1")
    write_adapter(registry.root / "b", "town:v2")
    with pytest.raises(BadInput, match="town:v2 is an adapter"):
        at("path:b", registry)


@pytest.mark.parametrize("base", ["", "Qwen/Qwen3-0.6B", "town:v9"])
def test_an_adapter_directory_whose_base_is_not_here_is_refused(
    registry: Registry, base: str
) -> None:
    write_adapter(registry.root / "a", base)
    with pytest.raises(BadInput, match="base") as caught:
        at("path:a", registry)
    assert "--base BASE" in caught.value.fix


def test_an_adapter_whose_unregistered_base_has_changed_is_refused(registry: Registry) -> None:
    base = write_full(registry.root / "m")
    add_adapter(registry, "path:m", at("path:m", registry).digest)
    assert at("town:v1", registry).base == "path:m"
    write_safetensors(base / "model.safetensors", BASE, fill=1)
    with pytest.raises(Failed, match="another state of its base path:m"):
        at("town:v1", registry)


def test_an_adapter_whose_unregistered_base_is_gone_is_refused(registry: Registry) -> None:
    base = write_full(registry.root / "m")
    add_adapter(registry, "path:m", at("path:m", registry).digest)
    base.rename(registry.root / "elsewhere")
    with pytest.raises(BadInput, match="base of town:v1 cannot be used"):
        at("town:v1", registry)


def test_a_version_that_lost_a_file_is_damaged(registry: Registry) -> None:
    add_full(registry)
    (registry.root / ".llmops/models/town/v1/model.safetensors").unlink()
    with pytest.raises(Failed, match=r"town:v1 is damaged: `model.safetensors` is missing"):
        at("town:v1", registry)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("path:absent", "no such directory"),
        ("path:recipes", "neither config.json nor"),
        ("recipe:cpt.yaml", "does not name a model that exists"),
        ("town", "is not a reference"),
    ],
)
def test_what_cannot_be_located_is_bad_input(registry: Registry, text: str, what: str) -> None:
    (registry.root / "recipes").mkdir()
    with pytest.raises(BadInput, match=what):
        at(text, registry)


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        ("path:absent", "looked for recipes/absent and absent"),
        ("path:town", "the model `town` is in the registry: write `town:v1`"),
        ("path:models/goood", "there is `good`"),
        ("path:Qwen/Qwen3-4B", "`hub:Qwen/Qwen3-4B`"),
        ("town:1", "did you mean `town:v1`?"),
    ],
)
def test_where_it_was_looked_for_is_said_and_what_there_is(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, text: str, fix: str
) -> None:
    monkeypatch.chdir(registry.root)
    add_full(registry)
    for folder in ("recipes", "models/good"):
        (registry.root / folder).mkdir(parents=True)
    with pytest.raises(BadInput) as caught:
        at(text, registry)
    assert fix in caught.value.fix


def test_the_place_of_the_declaration_leads_the_error(registry: Registry) -> None:
    with pytest.raises(BadInput, match="no model `town`") as caught:
        locate("town:v1", registry, registry.root, where="recipes/sft.yaml:3: base")
    assert caught.value.where == "recipes/sft.yaml:3: base"
    assert caught.value.exit_code == 2
