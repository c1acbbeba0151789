"""The options of an installed LLaMA-Factory, read from its source and transformers' without
importing either.

Both define a class `TrainingArguments`, so classes are looked up by file. A source laid out in
another way is an error here, not a guess.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmops.engines.llamafactory.source import constant, members, parsed
from llmops.errors import BadInput
from llmops.spec.source import display

_HPARAMS = "llamafactory/hparams"
_TRANSFORMERS = "transformers/training_args.py"
_SEQ2SEQ = "transformers/training_args_seq2seq.py"
# By group: the classes whose fields are options, each in its file. Bases in the same file follow.
GROUPS: dict[str, tuple[tuple[str, str], ...]] = {
    "model": ((f"{_HPARAMS}/model_args.py", "ModelArguments"),),
    "data": ((f"{_HPARAMS}/data_args.py", "DataArguments"),),
    "training": (
        (f"{_HPARAMS}/training_args.py", "TrainingArguments"),
        (_SEQ2SEQ, "Seq2SeqTrainingArguments"),
        (_TRANSFORMERS, "TrainingArguments"),
    ),
    "finetuning": ((f"{_HPARAMS}/finetuning_args.py", "FinetuningArguments"),),
    "generating": ((f"{_HPARAMS}/generating_args.py", "GeneratingArguments"),),
}
_ENUMS = ("llamafactory/extras/constants.py", "transformers/trainer_utils.py", _TRANSFORMERS)
TEMPLATES = "llamafactory/data/template.py"
_TOOLS = "llamafactory/data/tool_utils.py"
_COMPILERS = "accelerate/utils/dataclasses.py"
_MODES = "torch/_inductor/__init__.py"
WORDS = (_TOOLS, _COMPILERS, _MODES)
"""Where words stand that options of type text take, and which their declaration does not list."""
SOURCES = tuple(
    dict.fromkeys([file for group in GROUPS.values() for file, _ in group] + [*_ENUMS, TEMPLATES])
)
# Of the options whose help says "use commas", the engine takes these as lists too.
_LISTED = ("_target", "_modules")
_SIMPLE = {"bool", "int", "float", "str", "dict", "list"}


@dataclass(frozen=True)
class Option:
    """One option. types: of bool, int, float, str, dict, list, None; choices: the only strings
    that are valid, if listed; joined: a text with commas, or a list of texts."""

    name: str
    group: str
    types: tuple[str, ...]
    choices: tuple[str, ...] = ()
    default: Any = None
    joined: bool = False


def read_options(site: Path) -> list[Option]:
    """All options below the site-packages directory `site`."""
    trees = {file: _parse(site / file) for file in SOURCES}
    enums = {
        name: tuple(values.values())
        for file in _ENUMS
        for name, values in members(trees[file]).items()
    }
    found: dict[str, Option] = {}
    for group, places in GROUPS.items():
        for file, name in places:
            classes = {c.name: c for c in trees[file].body if isinstance(c, ast.ClassDef)}
            if name not in classes:
                raise _unknown(site / file, f"class {name}")
            for field in _fields(name, classes):
                option = _option(field, group, enums)
                if option is not None:
                    found.setdefault(option.name, option)
    return list(found.values())


def read_templates(site: Path) -> list[str]:
    """The names of the templates that the engine knows."""
    names = []
    for node in ast.walk(_parse(site / TEMPLATES)):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "register_template":
            given = [k.value for k in node.keywords if k.arg == "name"] + node.args[:1]
            names += [str(g.value) for g in given[:1] if isinstance(g, ast.Constant)]
    if not names:
        raise _unknown(site / TEMPLATES, "register_template")
    return sorted(set(names))


def read_words(site: Path) -> dict[str, tuple[str, ...]]:
    """By option: the words that it takes; none where the source is laid out in another way."""
    compilers = parsed(site / _COMPILERS)
    backends = members(compilers).get("DynamoBackend", {}) if compilers is not None else {}
    return {
        "tool_format": _keys(site / _TOOLS, "TOOLS"),
        "torch_compile_mode": _keys(site / _MODES, "mode_options"),
        "torch_compile_backend": tuple(name.lower() for name in backends.values()),
    }


def _keys(path: Path, table: str) -> tuple[str, ...]:
    """Of the dictionary that is called `table`; none where there is none."""
    tree = parsed(path)
    for node in ast.walk(tree) if tree is not None else ():
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Dict):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if ast.unparse(targets[0]) == table:
                return tuple(str(constant(key)) for key in node.value.keys)
    return ()


def _parse(path: Path) -> ast.Module:
    try:
        return ast.parse(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(
            f"the engine's source is not there: {error.strerror}",
            where=display(path),
            fix="`llmops engines install llamafactory`, or name an environment that holds "
            "llamafactory as an installed package",
        ) from None


def _unknown(path: Path, what: str) -> BadInput:
    return BadInput(
        f"this LLaMA-Factory is not laid out as expected: no {what}",
        where=display(path),
        fix="use a version that llmops knows: `llmops engines list`",
    )


def parameters(function: ast.FunctionDef) -> Iterator[Option]:
    """Each as an option of no group. Types come from the annotation, else from the default."""
    given, args = function.args.defaults, function.args.args
    without: list[ast.expr | None] = [None] * (len(args) - len(given))
    for arg, default in zip(args, [*without, *given], strict=True):
        types: list[str] = []
        choices: list[str] = []
        for atom in _atoms(arg.annotation) if arg.annotation is not None else ():
            _add_atom(atom, types, choices, {})
        value = constant(default)
        found = types or [type(value).__name__ if value is not None else "any"]
        yield Option(arg.arg, "", tuple(dict.fromkeys(found)), tuple(choices), value)


def _fields(name: str, classes: dict[str, ast.ClassDef]) -> Iterator[ast.AnnAssign]:
    """The fields of a dataclass and of its bases in the same file, its own first."""
    for node in classes[name].body:
        if isinstance(node, ast.AnnAssign):
            yield node
    for base in classes[name].bases:
        if isinstance(base, ast.Name) and base.id in classes and base.id != name:
            yield from _fields(base.id, classes)


def _option(field: ast.AnnAssign, group: str, enums: dict[str, tuple[str, ...]]) -> Option | None:
    if not isinstance(field.target, ast.Name):
        return None
    keywords: dict[str, ast.expr] = {}
    if isinstance(field.value, ast.Call):
        keywords = {str(k.arg): k.value for k in field.value.keywords}
    if isinstance(keywords.get("init"), ast.Constant) and not constant(keywords["init"]):
        return None
    types: list[str] = []
    choices: list[str] = []
    for atom in _atoms(field.annotation):
        _add_atom(atom, types, choices, enums)
    text = ast.unparse(keywords["metadata"]) if "metadata" in keywords else ""
    choices += _listed_choices(keywords.get("metadata"))
    return Option(
        name=field.target.id,
        group=group,
        types=tuple(dict.fromkeys(types)),
        choices=tuple(dict.fromkeys(choices)),
        default=constant(keywords.get("default", field.value)),
        joined=field.target.id.endswith(_LISTED) and "se commas to separate" in text,
    )


def _listed_choices(metadata: ast.expr | None) -> list[str]:
    """The texts that a field's metadata lists; none where the list is computed."""
    if not isinstance(metadata, ast.Dict):
        return []
    pairs = zip(metadata.keys, metadata.values, strict=True)
    found = next((value for key, value in pairs if constant(key) == "choices"), None)
    return [one for one in constant(found) or [] if isinstance(one, str)]


def _atoms(annotation: ast.expr) -> Iterator[ast.expr]:
    """The members of a union, whichever way it is written."""
    if isinstance(annotation, ast.BinOp):
        yield from _atoms(annotation.left)
        yield from _atoms(annotation.right)
    elif isinstance(annotation, ast.Subscript) and getattr(annotation.value, "id", "") in (
        "Optional",
        "Union",
    ):
        inner = annotation.slice
        for item in inner.elts if isinstance(inner, ast.Tuple) else [inner]:
            yield from _atoms(item)
        if getattr(annotation.value, "id", "") == "Optional":
            yield ast.Constant(None)
    else:
        yield annotation


def _add_atom(
    atom: ast.expr, types: list[str], choices: list[str], enums: dict[str, tuple[str, ...]]
) -> None:
    if isinstance(atom, ast.Constant):
        types.append("None" if atom.value is None else "str")
    elif isinstance(atom, ast.Subscript):
        name = getattr(atom.value, "id", "")
        if name != "Literal":
            types.append(name.lower() if name.lower() in _SIMPLE else "any")
            return
        items = atom.slice.elts if isinstance(atom.slice, ast.Tuple) else [atom.slice]
        for item in items:
            value = constant(item)
            types.append("None" if value is None else type(value).__name__)
            choices.extend([value] if isinstance(value, str) else [])
    elif isinstance(atom, ast.Name) and atom.id in enums:
        types.append("str")
        choices.extend(enums[atom.id])
    else:
        name = getattr(atom, "id", "")
        types.append(name if name in _SIMPLE else "any")
