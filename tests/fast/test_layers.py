"""The package's shape: imports run downwards, and quick commands import nothing heavy."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, run_llmops

LAYERS = (
    {"errors", "__init__"},
    {"spec", "store", "starter"},
    {"environments", "engines", "registry", "data", "feedback"},
    {"gateway"},
    {"preferences", "evaluation", "experiments", "simulation", "serving", "runner"},
    {"stages"},
    {"cli", "__main__"},
)
HEAVY = {"torch", "transformers", "gradio", "polars", "sqlalchemy", "fastapi", "alembic", "vllm"}
# Scripts that engine environments run by path, where llmops itself is not installed.
SCRIPTS = ("engines/llamafactory/worker/", "runner/guard.py")


def layer(part: str) -> int:
    return next(i for i, parts in enumerate(LAYERS) if part in parts)


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


@pytest.mark.parametrize("file", sources(), ids=lambda f: str(f.relative_to(ROOT)))
def test_imports_run_downwards(file: Path) -> None:
    part = file.relative_to(ROOT / "llmops").parts[0].removesuffix(".py")
    for module in imported(file):
        if module.startswith("llmops."):
            assert layer(module.split(".")[1]) <= layer(part), f"{file.name} imports {module}"


@pytest.mark.parametrize("file", sources(), ids=lambda f: str(f.relative_to(ROOT)))
def test_the_control_plane_imports_no_engine(file: Path) -> None:
    roots = {module.split(".")[0] for module in imported(file)}
    assert not roots & {"torch", "transformers", "peft", "trl", "vllm", "llamafactory"}


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


def test_a_plan_imports_nothing_heavy(tmp_path: Path) -> None:
    """Of the whole loop, before anyone has rated anything."""
    assert run_llmops("init", tmp_path / "town", cwd=tmp_path).returncode == 0
    assert not loaded_by("plan", "pipelines/town.yaml", cwd=tmp_path / "town") & HEAVY


@pytest.mark.parametrize(
    "command",
    [
        *("init", "doctor", "plan", "run", "serve", "gateway", "chat", "schema", "engines install"),
        *("engines list", "engines remove", "runs list", "runs show", "runs log"),
        *("models list", "models show", "models add"),
        *("eval run", "eval list", "eval show", "eval add"),
        *("keys create", "keys list", "keys revoke"),
        *("preferences list", "preferences show", "preferences export"),
        *("experiments list", "experiments show"),
        *("models promote", "models rollback", "models evidence"),
        *("feedback stats", "feedback list", "feedback show", "feedback export"),
        *("feedback import", "feedback forget", "feedback ingest", "replay"),
    ],
)
def test_every_command_shows_an_example(command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "llmops", *command.split(), "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"llmops {command}" in done.stdout.split("Example", 1)[1]
