"""Whether an installed vLLM takes adapters on a model, read from its source without importing it.

vLLM refuses to start with LoRA switched on for a class that lacks it, and cannot switch it on
later. The registry (vllm/model_executor/models/registry.py) names module and class of each
architecture; the class takes adapters when SupportsLoRA is among its ancestors. What cannot be
followed counts as unknown.
"""

import ast
import json
from pathlib import Path

_MODELS = "vllm/model_executor/models"
_MARK = "SupportsLoRA"


def takes_adapters(site: Path, model: Path) -> bool | None:
    """site: the environment's site-packages; model: a full model's directory. None: unknown."""
    try:
        config = json.loads((model / "config.json").read_text(encoding="utf-8"))
        registry = _parse(site / _MODELS / "registry.py")
    except (OSError, ValueError, SyntaxError):
        return None
    names = config.get("architectures") if isinstance(config, dict) else None
    found = [_places(registry, name) for name in names or []]
    places = next((place for place in found if place is not None), None)
    return _inherits(site / _MODELS, *places, 8) if places is not None else None


def _parse(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def _places(registry: ast.Module, architecture: str) -> tuple[str, str] | None:
    """Module and class of an architecture, from the first table that lists it."""
    for node in ast.walk(registry):
        if isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and key.value == architecture:
                    try:
                        module, name = ast.literal_eval(value)
                    except ValueError:
                        continue
                    return str(module), str(name)
    return None


def _inherits(folder: Path, module: str, name: str, depth: int) -> bool | None:
    """Whether a class has the mark among its ancestors, as far as they lie in that folder."""
    try:
        tree = _parse(folder / f"{module}.py")
    except (OSError, SyntaxError):
        return None
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    if name not in classes or depth == 0:
        return None
    bases = [base.id for base in classes[name].bases if isinstance(base, ast.Name)]
    if _MARK in bases:
        return True
    found = []
    for base in bases:
        origin = (module, base) if base in classes else _imported(tree, base)
        if origin is not None:
            found.append(_inherits(folder, *origin, depth - 1))
    if True in found:
        return True
    return None if None in found else False


def _imported(tree: ast.Module, name: str) -> tuple[str, str] | None:
    """The module beside this one that a name is imported from, and its name there."""
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module:
            beside = node.level == 1 or node.module.startswith("vllm.model_executor.models.")
            for alias in node.names if beside else ():
                if (alias.asname or alias.name) == name:
                    return node.module.rpartition(".")[2], alias.name
    return None
