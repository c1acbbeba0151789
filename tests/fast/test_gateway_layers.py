"""The gateway stays small: what it may import, and what its process loads."""

import ast
import subprocess
import sys

from tests.conftest import ROOT

ALLOWED = ("errors", "spec", "store", "gateway")
FEEDBACK = {"journal", "records", "identity", "acceptance", "fields", "keys"}
NO_BUSINESS_HERE = {"sqlalchemy", "alembic", "polars", "scipy", "statsmodels", "torch", "gradio"}


def test_it_imports_the_grammar_the_store_and_the_journal() -> None:
    for file in sorted((ROOT / "llmops" / "gateway").glob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("llmops."):
                _, part, *rest = (node.module or "").split(".")
                names = set(rest) or {alias.name for alias in node.names}
                fine = part in ALLOWED or (part == "feedback" and names <= FEEDBACK)
                assert fine, f"{file.name} imports {node.module}"


def test_its_process_loads_no_database_and_no_analysis() -> None:
    code = "import sys, uvicorn, llmops.gateway.server; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {name.split(".")[0] for name in done.stdout.split()} & NO_BUSINESS_HERE
