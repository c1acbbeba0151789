"""llmops.toml and the environment over it."""

from pathlib import Path

import pytest

from llmops.errors import BadInput
from llmops.spec.settings import load_settings


def write(project: Path, text: str) -> None:
    (project / "llmops.toml").write_text(text, encoding="utf-8")


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LLMOPS_CACHE", "LLMOPS_ENGINES_VLLM_PYTHON", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)


def test_the_root_is_found_from_below(project: Path) -> None:
    folder = project / "recipes" / "big"
    folder.mkdir(parents=True)
    assert load_settings(folder).root == project


def test_an_engine_of_the_users_own(project: Path) -> None:
    write(project, '[engines.vllm]\npython = "/opt/vllm/bin/python"\n')
    assert load_settings().engine("vllm").python == Path("/opt/vllm/bin/python")


def test_the_environment_comes_before_the_file(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(project, '[engines.vllm]\npython = "/a"\n')
    monkeypatch.setenv("LLMOPS_ENGINES_VLLM_PYTHON", "/b")
    assert load_settings().engine("vllm").python == Path("/b")


def test_the_cache_is_relative_to_the_project(project: Path) -> None:
    write(project, 'cache = "shared/cache"\n')
    assert load_settings().cache == project / "shared" / "cache"


def test_a_mistake_of_the_environment_is_not_the_files(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(project, "")
    monkeypatch.setenv("LLMOPS_ENGINES_DEVICE", "tpu")
    with pytest.raises(BadInput, match=r"^LLMOPS_ENGINES_DEVICE: expected 'cpu' or 'cuda'"):
        load_settings()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[engines.vlm]\n", "did you mean `vllm`?"),
        ("[engine]\n", "did you mean `engines`?"),
        ("a = \n", "not valid TOML"),
        ("engines = 3\n", "engines: expected a mapping, found 3"),
        ('[aliases.town.best]\nneed = ["evaluation"]\n', "did you mean `needs`?"),
        ('[aliases.town.best]\nneeds = ["experimnt"]\n', "did you mean `experiment`?"),
        ('[aliases.town.best]\nmax_age = "3d"\n', "`needs` names none"),
        ("[aliases.town.v3]\nneeds = []\n", "looks like a version"),
    ],
)
def test_a_mistake_names_the_file(project: Path, text: str, words: str) -> None:
    write(project, text)
    with pytest.raises(BadInput, match=r"llmops\.toml") as caught:
        load_settings()
    assert words in str(caught.value)


def test_what_an_alias_needs_is_of_one_model_or_of_all(project: Path) -> None:
    every = '[aliases."*".production]\nneeds = ["evaluation"]\n'
    write(project, every + '[aliases.town.production]\nneeds = ["experiment"]\n')
    found = [load_settings().policy(name, "production") for name in ("town", "city")]
    assert [one.needs for one in found if one] == [["experiment"], ["evaluation"]]
    assert load_settings().policy("town", "candidate") is None
