"""The docs are true: links lead somewhere, samples load, commands exist."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

from llmops.spec.load import load_deployment, load_pipeline, load_recipe, load_suite
from llmops.spec.settings import Settings
from tests.conftest import ROOT
from tests.fast.test_layers import commands

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
SHIPPED = sorted(
    f for d in ("recipes", "pipelines", "serving", "suites") for f in (ROOT / d).rglob("*.yaml")
)


def blocks(language: str) -> list[tuple[str, str]]:
    """The fenced blocks of a language in all pages: (page, text)."""
    pattern = re.compile(rf"^```{language}\n(.*?)^```", re.M | re.S)
    return [
        (page.name, found)
        for page in PAGES
        for found in pattern.findall(page.read_text(encoding="utf-8"))
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text):
        assert target.startswith("https://") or (page.parent / target).exists(), target


def load(file: Path) -> object:
    """Whatever the file declares, told by its top-level keys as its folder tells a person."""
    data = yaml.safe_load(file.read_text(encoding="utf-8"))
    if "stages" in data:
        return load_pipeline(file)
    if "metrics" in data:
        return load_suite(file)
    return load_deployment(file) if "variants" in data else load_recipe(file)


@pytest.mark.parametrize(("page", "text"), blocks("yaml"))
def test_samples_load(page: str, text: str, tmp_path: Path) -> None:
    file = tmp_path / "sample.yaml"
    file.write_text(text, encoding="utf-8")
    load(file)


@pytest.mark.parametrize("file", SHIPPED, ids=lambda f: f.name)
def test_shipped_declarations_load(file: Path) -> None:
    load(file)


@pytest.mark.parametrize(("page", "text"), blocks("toml"))
def test_settings_samples_load(page: str, text: str, tmp_path: Path) -> None:
    Settings.model_validate({**tomllib.loads(text), "root": tmp_path, "cache": tmp_path})


def test_documented_commands_exist() -> None:
    """Every `llmops COMMAND [SUBCOMMAND]` of the docs."""
    known = {tuple(command.split()[:2]) for command in commands()}
    groups = {first for first, *rest in known if rest}
    pattern = re.compile(r"(?:^|`)llmops ([a-z]+)(?: ([a-z]+))?", re.M)
    for page in PAGES:
        for first, second in pattern.findall(page.read_text(encoding="utf-8")):
            if first in groups:
                assert not second or (first, second) in known, f"{page.name}: {first} {second}"
            else:
                assert (first,) in known, f"{page.name}: llmops {first}"


def test_make_targets_of_the_readme_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for page in PAGES:
        for target in re.findall(r"(?:^|`)make ([a-z-]+)", page.read_text(encoding="utf-8"), re.M):
            assert re.search(rf"^{target}:", makefile, re.M), f"{page.name}: make {target}"
