"""The package's shape: imports run downwards, and quick commands import nothing heavy."""

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from llmops.cli.app import application
from llmops.starter import copy_starter
from tests.conftest import ROOT

LAYERS = (
    {"errors", "__init__"},
    {"spec", "store", "starter"},
    {"environments", "engines", "registry", "data", "feedback"},
    {"gateway"},
    {"preferences", "evaluation", "experiments", "simulation", "serving", "runner", "publish"},
    {"stages"},
    {"scheduling", "storage", "lineage"},
    {"control"},
    {"up", "ui", "report"},
    {"cli", "__main__"},
)
HEAVY = {"torch", "transformers", "gradio", "polars", "sqlalchemy", "fastapi", "alembic", "vllm"}
HEAVY |= {"huggingface_hub", "httpx2"}
# Scripts that engine environments run by path, where llmops itself is not installed.
SCRIPTS = ("engines/llamafactory/worker/", "runner/guard.py")


def layer(part: str) -> int:
    return next(i for i, parts in enumerate(LAYERS) if part in parts)


@cache
def imported(file: Path) -> set[str]:
    """The modules that a file imports anywhere, in full."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def sources() -> list[Path]:
    files = sorted((ROOT / "llmops").rglob("*.py"))
    return [f for f in files if not any(s in f.as_posix() for s in SCRIPTS)]


def test_imports_run_downwards() -> None:
    for file in sources():
        part = file.relative_to(ROOT / "llmops").parts[0].removesuffix(".py")
        for module in imported(file):
            if module.startswith("llmops."):
                assert layer(module.split(".")[1]) <= layer(part), f"{file} imports {module}"


def test_the_control_plane_imports_no_engine() -> None:
    for file in sources():
        roots = {module.split(".")[0] for module in imported(file)}
        found = roots & {"torch", "transformers", "peft", "trl", "vllm", "llamafactory"}
        assert not found, f"{file} imports {found}"


def loaded_by(*args: str, cwd: Path) -> set[str]:
    """The top-level modules that a command imports before it ends."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "llmops", *args],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip().split(".")[0] for line in lines}


def test_help_imports_nothing_heavy() -> None:
    assert not loaded_by("--help", cwd=ROOT) & HEAVY


def test_a_command_sets_up_no_other() -> None:
    """To set up all of them takes longer than some take to run."""
    code = "import atexit, sys; atexit.register(lambda: print(*sys.modules)); "
    code += "from llmops.cli.app import main; main()"
    argv = [sys.executable, "-c", code, "keys", "--help"]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    loaded = {one for one in done.stdout.split() if one.startswith("llmops.cli.")}
    assert loaded == {"llmops.cli.app", "llmops.cli.keys"}


def test_a_plan_imports_nothing_heavy(tmp_path: Path) -> None:
    """Of the whole loop, before anyone has rated anything."""
    copy_starter(tmp_path / "town")
    assert not loaded_by("plan", "pipelines/town.yaml", cwd=tmp_path / "town") & HEAVY


def commands() -> list[str]:
    """Every command, as a user types it."""

    def below(command: Any, path: str) -> list[str]:
        inner = getattr(command, "commands", None)
        if inner is None:
            return [path]
        return [one for name, c in inner.items() for one in below(c, f"{path} {name}".strip())]

    return below(get_command(application()), "")


def test_every_command_shows_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    made = get_command(application())
    for command in commands():
        made.main([*command.split(), "--help"], "llmops", standalone_mode=False)
        assert f"llmops {command}" in capsys.readouterr().out.partition("Example")[2]
