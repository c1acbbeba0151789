"""dataset_info.json: how the engine is to read each data file.

File names are absolute, and every column and tag is written out, because those left out become
None rather than their defaults as soon as one is given. OpenAI messages go in as `sharegpt` with
tags: the engine's own `openai` formatting adds a system prompt.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from llmops.engines.contract import DataSet

# The layout's column -> the engine's.
_COLUMNS = {
    "text": "prompt",
    "instruction": "prompt",
    "prompt": "prompt",
    "input": "query",
    "output": "response",
    "completion": "response",
    "history": "history",
    "messages": "messages",
    "conversations": "messages",
    "system": "system",
    "tools": "tools",
    "chosen": "chosen",
    "rejected": "rejected",
    "label": "kto_tag",
}
_ENGINE_COLUMNS = (
    *("prompt", "query", "response", "history", "messages", "system", "tools"),
    *("images", "videos", "audios", "chosen", "rejected", "kto_tag"),
)
TAGS = {
    "role_tag": "role",
    "content_tag": "content",
    "user_tag": "user",
    "assistant_tag": "assistant",
    "observation_tag": "observation",
    "function_tag": "function_call",
    "system_tag": "system",
}
SHAREGPT_TAGS = {
    **TAGS,
    "role_tag": "from",
    "content_tag": "value",
    "user_tag": "human",
    "assistant_tag": "gpt",
}


@dataclass(frozen=True)
class DataFiles:
    """names: as the engine's `dataset` lists them; entries: of dataset_info.json; copies: what is
    to be converted, by path relative to the attempt."""

    names: list[str]
    entries: dict[str, Any]
    copies: dict[str, DataSet]


def data_files(sets: Sequence[DataSet], role: str, root: Path) -> DataFiles:
    """Name and describe data sets. role: `train` or `validation`; root: the attempt's directory."""
    found = DataFiles([], {}, {})
    for position, data in enumerate(sets):
        name = f"{role}-{position}"
        path = data.path
        if data.convert:
            relative = f"data/{name}.jsonl"
            found.copies[relative] = data
            path = root / relative
        found.names.append(name)
        found.entries[name] = _entry(data, path)
    return found


def info_text(entries: dict[str, Any]) -> str:
    """ASCII, because the engine opens the file in the locale's encoding."""
    text = orjson.dumps(entries, option=orjson.OPT_INDENT_2).decode()  # of thousands of files, too
    return (text if text.isascii() else json.dumps(entries, indent=2)) + "\n"


def _entry(data: DataSet, path: Path) -> dict[str, Any]:
    columns: dict[str, str | None] = dict.fromkeys(_ENGINE_COLUMNS)
    for column, name in data.columns.items():
        columns[_COLUMNS[column]] = column if data.convert else name
    entry: dict[str, Any] = {"file_name": str(path), "formatting": "alpaca"}
    if columns["messages"] is not None:
        openai = "messages" in data.columns
        entry["formatting"] = "sharegpt"
        entry["tags"] = TAGS if openai else SHAREGPT_TAGS
        columns["prompt"] = None
    entry["columns"] = columns
    entry["ranking"] = data.layout == "preference"
    if data.limit is not None:
        entry["num_samples"] = data.limit
    return entry
