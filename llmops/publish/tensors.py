"""Tensors of safetensors files as numpy arrays: read one by one, changed in place, written.

No torch: bfloat16, which numpy lacks, is the upper half of a float32. Files are mapped, so that
only what is looked at is in memory. Covers float32, float16, bfloat16 and float64.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llmops.registry.weights import Tensor, read_header

Floats = NDArray[np.float32]
NUMPY = {"F32": "<f4", "F16": "<f2", "BF16": "<u2", "F64": "<f8"}
"""How numpy holds the dtypes that can be added to, by the format's names."""


class Stored:
    """A complete safetensors file. Raises BadInput when it is none. writable: `raw` may be
    assigned to."""

    def __init__(self, path: Path, *, writable: bool = False) -> None:
        self.tensors: dict[str, Tensor] = read_header(path)
        self._path = path
        self._mode: Any = "r+" if writable else "r"
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(length))
        self._starts = {name: 8 + length + header[name]["data_offsets"][0] for name in self.tensors}

    def raw(self, name: str) -> NDArray[Any]:
        """The tensor as it lies in the file; bfloat16 as the integers of its bits."""
        tensor = self.tensors[name]
        return np.memmap(
            self._path,
            dtype=NUMPY[tensor.dtype],
            mode=self._mode,
            offset=self._starts[name],
            shape=tensor.shape,
        )

    def floats(self, name: str) -> Floats:
        return as_floats(self.raw(name), self.tensors[name].dtype)


def as_floats(raw: NDArray[Any], dtype: str) -> Floats:
    """float32 of what lies in a file as `dtype`."""
    if dtype == "BF16":
        return (raw.astype(np.uint32) << 16).view(np.float32)
    return raw.astype(np.float32)


def rounded(values: NDArray[Any], dtype: str) -> NDArray[Any]:
    """What lies in a file for `values`: the nearest figures of `dtype`, to even in a tie. A figure
    out of its range becomes infinite."""
    with np.errstate(over="ignore"):
        if dtype != "BF16":
            return values.astype(NUMPY[dtype])
        bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
        return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def write(path: Path, tensors: Mapping[str, NDArray[Any]], dtype: str) -> None:
    """A new file of `tensors`, which `rounded` made, all of one dtype."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, tensor in tensors.items():
        start, end = end, end + tensor.nbytes
        header[name] = {"dtype": dtype, "shape": tensor.shape, "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("xb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for tensor in tensors.values():
            file.write(np.ascontiguousarray(tensor).data)
