"""Tiny models on disk for the tests of the registry: real safetensors files, no weights of use."""

import hashlib
import json
import struct
from pathlib import Path
from typing import Any

Shapes = dict[str, list[int]]
BASE: Shapes = {"model.embed_tokens.weight": [8, 4], "model.q_proj.weight": [6, 4]}


def write_safetensors(path: Path, shapes: Shapes, fill: int = 0) -> None:
    header: dict[str, Any] = {}
    end = 0
    for name, (rows, columns) in shapes.items():
        start, end = end, end + rows * columns * 4
        header[name] = {"dtype": "F32", "shape": [rows, columns], "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        if fill:
            file.write(bytes([fill]) * end)
        else:  # a hole, which costs nothing however large the model is
            file.truncate(file.tell() + end)


def write_full(directory: Path, fill: int = 0) -> Path:
    directory.mkdir(parents=True)
    (directory / "config.json").write_text('{"model_type": "qwen2"}')
    (directory / "tokenizer.json").write_text("{}")
    write_safetensors(directory / "model.safetensors", BASE, fill)
    return directory


def write_adapter(
    directory: Path, base: str = "", *, rank: int = 2, fill: int = 0, **config: Any
) -> Path:
    directory.mkdir(parents=True)
    known = {"peft_type": "LORA", "r": rank, "lora_alpha": 4, "base_model_name_or_path": base}
    (directory / "adapter_config.json").write_text(json.dumps(known | config))
    name = "base_model.model.model.q_proj"
    shapes = {f"{name}.lora_A.weight": [rank, 4], f"{name}.lora_B.weight": [6, rank]}
    write_safetensors(directory / "adapter_model.safetensors", shapes, fill)
    return directory


COMMIT = "c0ffee" + "0" * 34


def write_cached(hub: Path, name: str, model: Path, *, commit: str = COMMIT) -> Path:
    """`model`'s files as a download of `name` leaves them in the Hugging Face cache `hub`, with
    the branch main at `commit`. Weights are blobs named by their sha256, others by git's id."""
    folder = hub / f"models--{name.replace('/', '--')}"
    snapshot = folder / "snapshots" / commit
    for part in (folder / "blobs", folder / "refs", snapshot):
        part.mkdir(parents=True, exist_ok=True)
    (folder / "refs" / "main").write_text(commit)
    for file in model.iterdir():
        content = file.read_bytes()
        git = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False)
        large = file.suffix == ".safetensors"
        blob = hashlib.sha256(content).hexdigest() if large else git.hexdigest()
        (folder / "blobs" / blob).write_bytes(content)
        (snapshot / file.name).symlink_to(Path("../../blobs") / blob)
    return snapshot
