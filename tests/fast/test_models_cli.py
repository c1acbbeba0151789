import json
import os
from pathlib import Path

import pytest

from llmops.errors import BadInput, Failed
from llmops.registry.manifest import Draft, Lineage
from llmops.registry.store import Registry
from llmops.store.paths import ProjectPaths
from tests.fast.models_command import Models
from tests.fast.models_on_disk import write_adapter, write_full, write_safetensors


@pytest.fixture
def full(project: Path) -> Path:
    return write_full(project / "full")


def test_an_empty_registry_lists_nothing(models: Models, project: Path) -> None:
    assert json.loads(models("list", "--json").stdout) == []
    assert "no models yet" in models("list").output
    assert not (project / ".llmops").exists()


def test_add_registers_a_full_model_and_warns_without_an_engine(models: Models, full: Path) -> None:
    result = models("add", "town", full, "--alias", "anchor")
    assert result.stdout == "town:v1\n"
    assert "no golden prompts" in result.stderr
    assert models("show", "town@anchor").exit_code == 0


def test_list_shows_base_aliases_and_size(models: Models, full: Path) -> None:
    models("add", "town", full, "--alias", "anchor")
    models("add", "town", write_adapter(full.parent / "a", str(full)))
    first, second = json.loads(models("list", "--json").stdout)
    assert (first["version"], first["aliases"], first["base"]) == ("town:v1", ["anchor"], None)
    assert (second["kind"], second["base"], second["lora_rank"]) == ("adapter", "path:full", 2)
    assert first["size"] == sum(path.stat().st_size for path in full.iterdir())
    table = models("list").stdout
    assert table.index("town:v1") < table.index("town:v2")


def test_show_tells_lineage_files_history_and_children(
    models: Models, full: Path, project: Path
) -> None:
    models("add", "town", full, "--alias", "anchor")
    lineage = Lineage(parent="town:v1", run="r1", recipe="recipes/cpt.yaml")
    draft = Draft(name="child", kind="full", stage="cpt", metrics={"loss": 0.5}, lineage=lineage)
    Registry(ProjectPaths(project)).add(draft, full)
    found = json.loads(models("show", "town@anchor", "--json").stdout)
    assert found["children"] == ["child:v1"]
    assert found["lineage"]["imported_from"] == "full"
    assert [move["alias"] for move in found["history"]] == ["anchor"]
    text = models("show", "child:v1").stdout
    assert all(part in text for part in ("town:v1", "recipes/cpt.yaml", "0.5", "model.safetensors"))


def test_list_is_narrowed_by_model_tag_stage_and_alias(models: Models, full: Path) -> None:
    for name in ("town", "town", "village"):
        models("add", name, full)
    models("alias", "town:v2", "production")
    assert models("tag", "town:v1", "reviewed", "language=fr").stdout.startswith("town:v1: rev")
    models("tag", "village:v1", "language=de")
    models("tag", "village:v1", "--remove", "language")

    def listed(*args: str) -> list[str]:
        return [one["version"] for one in json.loads(models("list", "--json", *args).stdout)]

    assert listed("village") == ["village:v1"]
    assert listed("--tag", "language") == listed("--tag", "language=fr") == ["town:v1"]
    assert listed("--tag", "language=de") == listed("--stage", "sft") == []
    assert listed("town", "--alias", "production", "--stage", "import") == ["town:v2"]
    assert "reviewed, language=fr" in models("list", "town").stdout
    assert "no version is as asked" in models("list", "--stage", "sft").stderr
    assert isinstance(models("list", "city").exception, BadInput)


def test_a_version_is_shown_with_what_was_said_of_it_and_is_as_it_was(
    models: Models, full: Path
) -> None:
    (full / "README.md").write_text("---\nlicense: mit\n---\n", encoding="utf-8")
    models("add", "town", write_adapter(full.parent / "a"), "--base", full, "--licence", "cc0-1.0")
    before = json.loads(models("show", "town:v1", "--json").stdout)
    models("tag", "town:v1", "reviewed")
    models("note", "town:v1", "answers in French")
    after = json.loads(models("show", "town:v1", "--json").stdout)
    assert (before.pop("tags"), before.pop("notes")) == ({}, [])
    assert after.pop("tags") == {"reviewed": ""}
    assert after.pop("notes")[1]["text"] == "answers in French"
    assert after == before
    assert after["licences"] == {"own": "cc0-1.0", "base": "mit", "data": {}}
    text = models("show", "town:v1").stdout
    told = ("adapter, rank 2, alpha 4", "cc0-1.0", "template      none", "answers in French")
    assert all(part in text for part in told)


def test_a_version_of_before_is_shown_as_far_as_it_is_known(
    models: Models, full: Path, project: Path
) -> None:
    models("add", "town", full)
    file = project / ".llmops/models/town/v1/manifest.json"
    manifest = json.loads(file.read_text())
    for known in (manifest, manifest["lineage"]):
        for name in ("lora_alpha", "template", "licences", "preferences", "packages", "seal"):
            known.pop(name, None)
    file.chmod(0o644)
    file.write_text(json.dumps(manifest))
    text = models("show", "town:v1").stdout
    assert "template      unknown" in text
    assert "licence       unknown" in text


def test_diff_tells_where_versions_differ(models: Models, full: Path) -> None:
    models("add", "town", full, "--alias", "production")
    same = models("diff", "town@production", "town:v1")
    assert (same.stdout, "do not differ" in same.stderr) == ("", True)
    for rank in (2, 4):
        adapter = write_adapter(full.parent / f"a{rank}", rank=rank)
        models("add", "village", adapter, "--base", "town:v1")
    found = json.loads(models("diff", "village:v1", "village:v2", "--json").stdout)
    told = {one["key"]: one for one in found["differences"]}
    assert told["lora_rank"] == {"key": "lora_rank", "a": 2, "b": 4, "delta": 2}
    assert "files.adapter_model.safetensors" in told
    assert "4 (+2)" in models("diff", "village:v1", "village:v2").stdout


def test_add_of_an_adapter_takes_its_base_from_the_command(models: Models, full: Path) -> None:
    models("add", "town", full, "--alias", "anchor")
    adapter = write_adapter(full.parent / "a", "Qwen/Qwen3-0.6B")
    refused = models("add", "town", adapter)
    assert isinstance(refused.exception, BadInput)
    assert models("add", "town", adapter, "--base", "town@anchor").stdout == "town:v2\n"
    assert json.loads(models("show", "town:v2", "--json").stdout)["base"] == "town:v1"


def test_add_refuses_an_adapter_that_vllm_cannot_serve(models: Models, full: Path) -> None:
    adapter = write_adapter(full.parent / "a", str(full), use_dora=True)
    result = models("add", "town", adapter)
    assert isinstance(result.exception, BadInput)
    assert "DoRA" in result.exception.what
    assert json.loads(models("list", "--json").stdout) == []


def test_add_refuses_an_adapter_of_another_base(models: Models, full: Path) -> None:
    write_safetensors(full / "model.safetensors", {"model.q_proj.weight": [6, 5]})
    models("add", "town", full)
    result = models("add", "town", write_adapter(full.parent / "a"), "--base", "town:v1")
    assert isinstance(result.exception, BadInput)
    assert "does not fit its base" in result.exception.what


@pytest.mark.parametrize(
    "args",
    [
        ("Town", "full"),
        ("path", "full"),
        ("town", "absent"),
        ("town", "full", "--base", "x"),
        ("town", "full", "--alias", "v1"),
    ],
)
def test_bad_input_registers_nothing(
    models: Models, full: Path, project: Path, args: tuple[str, ...]
) -> None:
    assert isinstance(models("add", *args).exception, BadInput)
    assert not (project / ".llmops").exists()


def test_alias_moves_and_history_tells_why(models: Models, full: Path) -> None:
    for _ in range(2):
        models("add", "town", full)
    models("alias", "town:v1", "anchor")
    moved = models("alias", "town:v2", "anchor", "--why", "better")
    assert moved.stdout == "town@anchor: town:v1 -> town:v2\n"
    again = models("alias", "town@anchor", "anchor")
    assert "already names town:v2" in again.stderr
    history = json.loads(models("history", "town", "--json").stdout)
    assert [move["why"] for move in history] == ["", "better"]
    assert "better" in models("history", "town").stdout


def test_verify_names_each_damaged_version_and_checks_the_others(
    models: Models, full: Path, project: Path
) -> None:
    for name in ("a", "b", "c"):
        models("add", name, full)
    for name in ("a", "b"):
        (project / f".llmops/models/{name}/v1/tokenizer.json").unlink()
    result = models("verify")
    assert isinstance(result.exception, Failed)
    assert "a:v1 is damaged" in result.exception.what
    assert "b:v1 is damaged" in result.exception.what
    assert result.stdout == "c:v1: 3 files, as registered\n"
    assert models("verify", "c").exit_code == 0
    assert isinstance(models("verify", "d").exception, BadInput)


def test_verify_reads_one_version_or_alias_and_tells_it_as_json(
    models: Models, full: Path, project: Path
) -> None:
    for _ in range(2):
        models("add", "town", full)
    models("alias", "town:v1", "anchor")
    (project / ".llmops/models/town/v2/tokenizer.json").unlink()
    (whole,) = json.loads(models("verify", "town@anchor", "--json").stdout)
    assert (whole["version"], whole["files"], whole["damage"]) == ("town:v1", 3, [])
    result = models("verify", "--json")
    assert isinstance(result.exception, Failed)
    damaged = [one["version"] for one in json.loads(result.stdout) if one["damage"]]
    assert damaged == ["town:v2"]


def test_add_takes_a_model_with_code_of_its_own_only_when_told(models: Models, full: Path) -> None:
    (full / "config.json").write_text('{"auto_map": {"AutoModel": "modeling.Model"}}')
    assert isinstance(models("add", "town", full).exception, BadInput)
    assert models("add", "town", full, "--remote-code").stdout == "town:v1\n"


@pytest.mark.parametrize(
    "command", ["list", "show", "add", "diff", "tag", "note", "alias", "history", "verify"]
)
def test_the_help_shows_an_example(models: Models, command: str) -> None:
    assert f"Example: llmops models {command}" in models(command, "--help").output


def test_an_engine_of_ones_own_that_is_not_there_is_an_error(
    models: Models, full: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLMOPS_ENGINES_LLAMAFACTORY_PYTHON", os.devnull + "/python")
    assert isinstance(models("add", "town", full).exception, BadInput)
