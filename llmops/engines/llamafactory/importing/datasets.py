"""The `dataset` of a config as data files of a recipe, by its dataset_info.json.

Source of the fields and their defaults: LLaMA-Factory 0.9.5, data/parser.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from llmops.data.layouts import COLUMNS
from llmops.engines.llamafactory.datasets import SHAREGPT_TAGS, TAGS
from llmops.engines.llamafactory.importing.config import Config
from llmops.spec.recipe import Layout
from llmops.spec.settings import find_root
from llmops.store.files import read_object

_HUBS = ("hf_hub_url", "ms_hub_url", "om_hub_url", "script_url", "cloud_file_name")
_MEDIA = ("images", "videos", "audios")
# The engine's column and what it is called when the file says nothing -> the layouts' columns.
_ALPACA = {
    "prompt": ("instruction", ("text", "instruction", "prompt")),
    "query": ("input", ("input",)),
    "response": ("output", ("output", "completion")),
    "history": (None, ("history",)),
    "system": (None, ("system",)),
}
_RATED = {
    "chosen": (None, ("chosen",)),
    "rejected": (None, ("rejected",)),
    "kto_tag": (None, ("label",)),
}
_CONVERSATION = {
    "messages": ("conversations", ("messages", "conversations")),
    "system": (None, ("system",)),
    "tools": (None, ("tools",)),
}


@dataclass
class Found:
    """files: entries of `data.train`; todo: what is left to a person; lost: what no recipe says,
    and why."""

    files: list[Any] = field(default_factory=list)
    todo: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)


def data_of(config: Config, key: str, beside: Path) -> Found:
    """What `dataset` or `eval_dataset` names. beside: the recipe that is to be."""
    found = Found()
    folder = _folder(config)
    known = read_object(folder / "dataset_info.json") if folder is not None else {}
    for name in _names(config.get(key)):
        entry = known.get(name)
        if isinstance(entry, dict):
            _add(found, name, entry, folder or Path(), str(config.get("stage")), beside)
        else:
            where = f"{folder}/dataset_info.json" if folder else "any dataset_info.json in reach"
            found.files.append(f"path:data/{name}.jsonl")
            found.todo.append(f"the data set `{name}` is not in {where}: name its file")
    return found


def _names(value: Any) -> list[str]:
    names = value if isinstance(value, list) else str(value or "").split(",")
    return [str(name).strip() for name in names if str(name).strip()]


def _folder(config: Config) -> Path | None:
    """The directory of dataset_info.json: from the working directory, which the engine was started
    in, or from one above the config."""
    name = str(config.get("dataset_dir") or "data")
    places = (Path.cwd(), *config.path.resolve().parents)
    found = (place / name for place in places if (place / name / "dataset_info.json").is_file())
    return next(found, None)


def _add(
    found: Found, name: str, entry: dict[str, Any], folder: Path, stage: str, beside: Path
) -> None:
    given: dict[str, str] = entry.get("columns") or {}
    media = [column for column in _MEDIA if given.get(column)]
    if media:
        found.lost.append(f"data set `{name}`: {', '.join(media)}; llmops trains on text")
    if entry.get("formatting") == "openai":
        found.todo.append(
            f"data set `{name}`: the engine adds a system prompt of its own to `openai` data, "
            "llmops does not"
        )
    layout = _layout(entry, given, stage)
    tags = entry.get("tags") or {}
    wanted = TAGS if layout == "messages" else SHAREGPT_TAGS
    other = {tag: value for tag, value in tags.items() if wanted.get(tag) != value}
    if other and entry.get("formatting") == "sharegpt" and layout in ("messages", "sharegpt"):
        found.lost.append(f"data set `{name}`: the tags {other} have no place in a recipe")
    columns = _columns(entry, given, layout)
    for path in _paths(found, name, entry, folder):
        found.files.append(_file(_shown(path, beside), layout, columns, entry.get("num_samples")))


def _layout(entry: Mapping[str, Any], given: Mapping[str, str], stage: str) -> Layout:
    if entry.get("ranking"):
        return "preference"
    if given.get("kto_tag"):
        return "kto"
    if entry.get("formatting", "alpaca") == "alpaca":
        return "text" if stage == "pt" else "alpaca"
    role = (entry.get("tags") or {}).get("role_tag", "from")
    return "messages" if role == "role" or entry["formatting"] == "openai" else "sharegpt"


def _columns(entry: Mapping[str, Any], given: Mapping[str, str], layout: Layout) -> dict[str, str]:
    """The layout's column -> the file's, where they are called differently."""
    conversation = entry.get("formatting", "alpaca") != "alpaca"
    table = {**(_CONVERSATION if conversation else _ALPACA), **_RATED}
    found = {}
    for theirs, (default, ours) in table.items():
        name = given.get(theirs) if given else default
        column = next((one for one in ours if one in COLUMNS[layout]), None)
        if layout in ("preference", "kto") and theirs == "messages" and name in ours:
            column = str(name)
        if name and column and name not in COLUMNS[layout][column]:
            found[column] = name
    return found


def _paths(found: Found, name: str, entry: Mapping[str, Any], folder: Path) -> list[Path | str]:
    remote = next((f"{hub} {entry[hub]}" for hub in _HUBS if entry.get(hub)), None)
    if remote or not entry.get("file_name"):
        found.todo.append(f"the data set `{name}` lies elsewhere ({remote}): download it first")
        return [f"data/{name}.jsonl"]
    path = folder / str(entry["file_name"])
    if path.is_dir():
        return sorted(one for one in path.iterdir() if one.is_file())
    return [path]


def _shown(path: Path | str, beside: Path) -> str:
    """Relative to the recipe where it lies below it, else to the project's root."""
    if isinstance(path, str):
        return path
    here = beside.resolve().parent
    for folder in (here, find_root(here)):
        if path.resolve().is_relative_to(folder):
            return str(path.resolve().relative_to(folder))
    return str(path.resolve())


def _file(path: str, layout: Layout, columns: dict[str, str], limit: Any) -> Any:
    if not columns and not limit:
        return f"path:{path}"
    entry: dict[str, Any] = {"path": path, "layout": layout}
    if columns:
        entry["columns"] = columns
    return {**entry, "limit": limit} if limit else entry
