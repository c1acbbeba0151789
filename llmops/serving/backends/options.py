"""The option set of an installed vLLM, read from its source without importing it.

Options are `--names` given to `add_argument` in vllm/engine/arg_utils.py, and the annotated fields
of the front end's argument classes (`*FrontendArgs` in a cli_args.py under vllm/entrypoints).
Reading takes about 0.05 s; importing vLLM takes 10. When the source looks different from that, no
set is known and names are left to vLLM itself.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

_ENGINE = "vllm/engine/arg_utils.py"
_FRONTEND = "vllm/entrypoints/**/cli_args.py"
_FEWEST = 50
"""Fewer names than this mean that the source was not understood."""


def options(site: Path) -> frozenset[str] | None:
    """The options of the vLLM in `site`, in snake_case; None when they could not be read."""
    files = [site / _ENGINE, *sorted(site.glob(_FRONTEND))]
    found: set[str] = set()
    for file in files:
        try:
            tree = ast.parse(file.read_text(encoding="utf-8"))
        except (OSError, SyntaxError, UnicodeDecodeError):
            continue
        found.update(_arguments(tree))
        found.update(_fields(tree))
    return frozenset(found) if len(found) >= _FEWEST else None


def _arguments(tree: ast.Module) -> Iterator[str]:
    """The names in calls of `....add_argument("--name", ...)`."""
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "add_argument"
        ):
            for argument in node.args:
                if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                    name = argument.value
                    if name.startswith("--"):
                        yield name[2:].replace("-", "_")


def _fields(tree: ast.Module) -> Iterator[str]:
    """The annotated fields of the front end's classes, each of which becomes an option."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name.endswith("FrontendArgs"):
            for item in node.body:
                if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
                    yield item.target.id
