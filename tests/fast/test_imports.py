"""What stands beside the package and is run by hand imports what is there."""

import ast
from importlib import import_module
from pathlib import Path

import pytest

from tests.conftest import ROOT

BESIDE = sorted(file for folder in ("demo", "benchmarks") for file in (ROOT / folder).glob("*.py"))


def missing(file: Path) -> list[str]:
    """What it imports of ours that is not there, at whatever depth of the file."""
    found = []
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("llmops"):
            module = import_module(str(node.module))
            found += [name.name for name in node.names if not hasattr(module, name.name)]
    return found


@pytest.mark.parametrize("file", BESIDE, ids=lambda file: file.name)
def test_what_is_imported_is_there(file: Path) -> None:
    assert missing(file) == []
