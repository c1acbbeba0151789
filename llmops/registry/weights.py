"""The header of a safetensors file: which tensors it holds, and whether it is complete.

Reads the header only (a few kilobytes, whatever the file's size) with the standard library. Does
not look at the values; the registry's sha256 covers those. The format: 8 bytes of header length
(little endian), the header as JSON, then the tensors without gaps.
Source: the format's description at github.com/huggingface/safetensors.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmops.errors import BadInput
from llmops.spec.source import display

HEADER_LIMIT = 100_000_000
"""Bytes; the reference implementation refuses longer headers."""

_BYTES = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2", "F8_E8M0"), 1),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 2),
    **dict.fromkeys(("U32", "I32", "F32"), 4),
    **dict.fromkeys(("U64", "I64", "F64", "C64"), 8),
}
_DTYPES = {"F32": "float32", "BF16": "bfloat16", "F16": "float16", "F64": "float64"}


@dataclass(frozen=True)
class Tensor:
    """One tensor as the header describes it. dtype: the format's own name, e.g. BF16."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def elements(self) -> int:
        return math.prod(self.shape)


def read_header(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file by name.

    Raises BadInput when the file is not safetensors, or shorter or longer than its header says.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or not 2 <= length <= min(HEADER_LIMIT, size - 8):
            raise _damaged(path, "no safetensors header, or a header that was cut off")
        text = file.read(length)
    try:
        header = json.loads(text)
        header.pop("__metadata__", None)
        entries = sorted(
            (*(int(offset) for offset in entry["data_offsets"]), name, _tensor(entry))
            for name, entry in header.items()
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise _damaged(path, "its safetensors header cannot be read") from error
    end = 0
    for start, stop, name, tensor in entries:
        width = _BYTES.get(tensor.dtype)
        if start != end or (width is not None and stop - start != tensor.elements * width):
            raise _damaged(path, f"the place of tensor `{name}` does not fit its shape")
        end = stop
    expected = 8 + length + end
    if size != expected:
        raise _damaged(path, f"{size:,} bytes, where its header promises {expected:,}")
    return {name: tensor for _, _, name, tensor in entries}


def dtype_of(header: dict[str, Tensor]) -> str | None:
    """The dtype that most of the weights have, by torch's name; None for a quantized model."""
    weight: dict[str, int] = {}
    for tensor in header.values():
        weight[tensor.dtype] = weight.get(tensor.dtype, 0) + tensor.elements
    return _DTYPES.get(max(weight, key=weight.__getitem__)) if weight else None


def _tensor(entry: Any) -> Tensor:
    return Tensor(str(entry["dtype"]), tuple(int(side) for side in entry["shape"]))


def _damaged(path: Path, what: str) -> BadInput:
    return BadInput(
        f"not a complete safetensors file: {what}",
        where=display(path),
        fix="download or save the model again",
    )
