import os
from pathlib import Path

import pytest
from typer import Typer
from typer.testing import CliRunner, Result

from llmops.cli.init import command
from llmops.errors import BadInput
from llmops.spec.load import load_deployment, load_pipeline, load_recipe, load_suite
from llmops.spec.settings import find_root, load_settings
from llmops.starter import FOLDERS, copy_starter, find_starter, starter_files


def init(directory: Path) -> Result:
    app = Typer()
    app.command()(command)
    return CliRunner().invoke(app, [str(directory)])


def test_the_copy_is_the_starter(tmp_path: Path) -> None:
    files = copy_starter(tmp_path / "new")
    copied = {p.relative_to(tmp_path / "new") for p in (tmp_path / "new").rglob("*") if p.is_file()}
    assert copied == set(files) >= set(starter_files(find_starter()))
    assert {file.parts[0] for file in files} == {*FOLDERS, "llmops.toml", ".gitignore"}


def test_each_file_has_the_content_of_the_starters(tmp_path: Path) -> None:
    copy_starter(tmp_path)
    for file in starter_files(find_starter()):
        assert (tmp_path / file).read_bytes() == (find_starter() / file).read_bytes()


def test_every_declaration_of_the_copy_loads(tmp_path: Path) -> None:
    copy_starter(tmp_path)
    loaders = {
        "recipes": load_recipe,
        "pipelines": load_pipeline,
        "serving": load_deployment,
        "suites": load_suite,
    }
    loaded = [loaders[f](p) for f in FOLDERS for p in sorted((tmp_path / f).rglob("*.yaml"))]
    assert len(loaded) >= 3


def test_the_settings_mark_the_root_and_load_as_written_and_uncommented(tmp_path: Path) -> None:
    copy_starter(tmp_path)
    assert find_root(tmp_path / "recipes") == tmp_path
    load_settings(tmp_path)
    file = tmp_path / "llmops.toml"
    lines = file.read_text().splitlines()
    kept = ("# [", "# python =", "# cache =", "# device =")
    keys = [line[2:] for line in lines if line.startswith(kept)]
    file.write_text("\n".join(keys))
    assert load_settings(tmp_path).engine("vllm").python == Path("/opt/vllm/bin/python")


def test_state_is_not_for_git(tmp_path: Path) -> None:
    copy_starter(tmp_path)
    assert ".llmops/" in (tmp_path / ".gitignore").read_text().splitlines()


def test_existing_files_are_listed_and_nothing_is_written(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("mine")
    with pytest.raises(BadInput, match=r"1 files would be overwritten:\n +\.gitignore"):
        copy_starter(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".gitignore"]
    assert (tmp_path / ".gitignore").read_text() == "mine"


def test_a_file_in_place_of_the_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="not a directory"):
        copy_starter(tmp_path / "file")


def test_the_command_says_what_comes_next(tmp_path: Path) -> None:
    result = init(tmp_path / "new")
    assert result.exit_code == 0
    assert f"cd {tmp_path / 'new'}" in result.stdout
    assert "llmops run pipelines/town.yaml" in result.stdout


def test_a_second_init_is_refused(tmp_path: Path) -> None:
    init(tmp_path)
    before = sorted(os.walk(tmp_path))
    assert isinstance(init(tmp_path).exception, BadInput)
    assert sorted(os.walk(tmp_path)) == before
