"""Which files make a model: the whitelist that is copied, digested and served; nothing else is.

A checkpoint directory also holds optimizer states, logs, training arguments (a pickle) and code;
none of these belongs to a version. Only safetensors weights are taken, because loading a pickle
runs what is in it.
"""

import json
import re
from pathlib import Path
from typing import Any

from llmops.errors import BadInput
from llmops.registry.weights import Tensor, read_header
from llmops.spec.source import display

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
ADAPTER_CONFIG = "adapter_config.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"
CARD = "README.md"
LICENCES = ("LICENSE", "LICENSE.txt", "LICENSE.md", "LICENCE")
PICKLES = (".bin", ".pt", ".pth", ".ckpt")
VALUE_HEAD = "value_head.safetensors"
"""What a reward model has beside its weights."""
FULL = (
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "tokenizer.model",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
    "chat_template.json",
)
_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json")

TEXT_LIMIT = 256_000_000
"""Bytes of a file that is no weights: it is read into memory. The largest known tokenizer has 35
million."""
_SHARD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\.safetensors")

_AGAIN = "download or save the model again"


def kind_of(source: Path) -> str:
    """`adapter` when the directory holds an adapter_config.json, `full` for a config.json.

    Raises BadInput when it is no model directory.
    """
    if not source.is_dir():
        what = "not a directory" if source.exists() else "no such directory"
        raise BadInput(what, where=display(source), fix="name the directory of a model")
    if (source / ADAPTER_CONFIG).is_file():
        return "adapter"
    if (source / "config.json").is_file():
        return "full"
    raise BadInput(
        "not a model: it has neither config.json nor adapter_config.json",
        where=display(source),
        fix="name the directory that holds config.json (in a Hub cache: snapshots/REVISION)",
    )


def model_files(source: Path, kind: str) -> list[str]:
    """The names of the files of a complete model of `kind` in `source`, checked.

    Raises BadInput when one is missing, cut off, a pickle, too large for a text, or a link that
    leads out of `source`.
    """
    names = _adapter_names(source) if kind == "adapter" else _full_names(source)
    for name in names:
        _stays_inside(source, name)
        if not is_weights(name):
            _check_size(source / name)
    return sorted({*names})


def is_weights(name: str) -> bool:
    return name.endswith(".safetensors")


def headers(source: Path, names: list[str]) -> dict[str, Tensor]:
    """The tensors of all safetensors files among `names`; raises BadInput for a damaged one."""
    found: dict[str, Tensor] = {}
    for name in names:
        if is_weights(name):
            found.update(read_header(source / name))
    return found


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file; raises BadInput when it is none."""
    try:
        _check_size(path)
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise BadInput(f"not readable as JSON: {error}", where=display(path), fix=_AGAIN) from error
    if not isinstance(value, dict):
        raise BadInput("expected a JSON object", where=display(path), fix=_AGAIN)
    return value


def _adapter_names(source: Path) -> list[str]:
    if not (source / ADAPTER_CONFIG).is_file():
        raise BadInput(f"an adapter needs `{ADAPTER_CONFIG}`", where=display(source), fix=_AGAIN)
    if not (source / ADAPTER_WEIGHTS).is_file():
        raise _no_weights(source, ADAPTER_WEIGHTS)
    return [ADAPTER_CONFIG, ADAPTER_WEIGHTS, *_value_head(source)]


def _value_head(source: Path) -> list[str]:
    return [VALUE_HEAD] if (source / VALUE_HEAD).is_file() else []


def _full_names(source: Path) -> list[str]:
    names = [name for name in FULL if (source / name).is_file()] + _value_head(source)
    if "config.json" not in names:
        raise BadInput("a model needs `config.json`", where=display(source), fix=_AGAIN)
    if not any(name in names for name in _TOKENIZERS):
        raise BadInput(
            "the model has no tokenizer",
            where=display(source),
            fix="save its tokenizer (tokenizer.json) into the same directory",
        )
    if (source / INDEX).is_file():
        return [*names, INDEX, *_shards(source)]
    if (source / WEIGHTS).is_file():
        return [*names, WEIGHTS]
    raise _no_weights(source, WEIGHTS)


def _shards(source: Path) -> list[str]:
    """The weight files that the index names. Each must exist and hold the tensors it is to hold;
    others (such as a second, consolidated copy) are left out."""
    place = source / INDEX
    weight_map = read_json(place).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise BadInput("it has no `weight_map`", where=display(place), fix=_AGAIN)
    shards: dict[str, set[str]] = {}
    for tensor, shard in weight_map.items():
        shards.setdefault(str(shard), set()).add(str(tensor))
    for shard, tensors in shards.items():
        if not _SHARD.fullmatch(shard):
            raise BadInput(
                f"`{shard}` is not the name of a weight file", where=display(place), fix=_AGAIN
            )
        if not (source / shard).is_file():
            raise BadInput(
                f"the weight file `{shard}` is missing",
                where=display(source),
                fix=_AGAIN,
            )
        absent = tensors - read_header(source / shard).keys()
        if absent:
            raise BadInput(
                f"{len(absent)} tensors are missing, such as `{min(absent)}`",
                where=display(source / shard),
                fix=_AGAIN,
            )
    return sorted(shards)


def check_code(source: Path) -> None:
    """Raises BadInput when the model's configuration names code of its own (`auto_map`): none is
    copied, so whoever loads the model would fetch and run it from elsewhere, or fail."""
    for name in ("config.json", "tokenizer_config.json", ADAPTER_CONFIG):
        if (source / name).is_file() and (named := read_json(source / name).get("auto_map")):
            raise BadInput(
                f"it names code of its own, `auto_map`: {', '.join(map(str, named))}",
                where=display(source / name),
                fix="take `auto_map` out, if engine and backend know the model without it; or add "
                "it as it is, --remote-code",
            )


def _check_size(path: Path) -> None:
    size = path.stat().st_size
    if size > TEXT_LIMIT:
        raise BadInput(
            f"`{path.name}` has {size:,} bytes, a text of a model at most {TEXT_LIMIT:,}",
            where=display(path.parent),
            fix=_AGAIN,
        )


def _no_weights(source: Path, wanted: str) -> BadInput:
    pickles = sorted(
        path.name
        for path in source.iterdir()
        if path.suffix in PICKLES and path.name != "training_args.bin"
    )
    if pickles:
        return BadInput(
            f"its weights are a pickle (`{pickles[0]}`); only safetensors are loaded, because "
            "loading a pickle runs what is in it",
            where=display(source),
            fix="convert it: load it where you trust it, then `save_pretrained(DIR)`",
        )
    return BadInput(f"`{wanted}` is missing", where=display(source), fix=_AGAIN)


def _stays_inside(source: Path, name: str) -> None:
    """A link may lead to another place in `source` (or, in a Hub cache, to the blobs beside
    `snapshots/`), never out of it: a version must not swallow a file that is not the model's."""
    root = source.resolve()
    if root.parent.name == "snapshots" and root.parent.parent.name.startswith("models--"):
        root = root.parent.parent
    target = (source / name).resolve()
    if not target.is_relative_to(root):
        raise BadInput(
            f"`{name}` is a link that leads out of the directory, to {target}",
            where=display(source),
            fix="put a copy of the file in its place",
        )
