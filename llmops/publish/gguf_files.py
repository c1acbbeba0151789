"""Models and adapters as GGUF files, which llama.cpp and Ollama load.

Written with the `gguf` package of llama.cpp, one tensor at a time. Covers Llama, Qwen2 and Qwen3
(dense) in float32, float16, bfloat16 and 8 bits (Q8_0); for others, see llama.cpp's own converter,
which needs torch.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llmops.engines.contract import ModelFiles
from llmops.errors import BadInput
from llmops.publish.factors import read_product
from llmops.publish.tensors import NUMPY, Stored
from llmops.publish.vocabulary import add_vocabulary
from llmops.registry.files import headers, model_files, read_json
from llmops.spec.source import display

TYPES = {"f32": "F32", "f16": "F16", "bf16": "BF16", "q8_0": "Q8_0"}
"""What a weight can be written as, by the names that GGUF has."""
_STORED = {"F32": "F32", "F64": "F32", "F16": "F16", "BF16": "BF16"}
_ARCHITECTURES = ("llama", "qwen2", "qwen3")
_NEEDED = (
    *("num_hidden_layers", "num_attention_heads", "hidden_size", "intermediate_size"),
    *("max_position_embeddings", "vocab_size", "rms_norm_eps"),
)
_ELSE = (
    "llama.cpp's `convert_hf_to_gguf.py` and `convert_lora_to_gguf.py` know more; give them what "
    "`--format safetensors` writes"
)


def write_model(directory: Path, target: Path, name: str, kind: str | None = None) -> None:
    """Write the full model in `directory` as the file `target`. name: for its header; kind: of
    TYPES, None for what each weight is stored in.

    Raises BadInput for another architecture, and without the `gguf` package.
    """
    gguf = _library()
    config = _config(directory)
    writer = gguf.GGUFWriter(None, config["model_type"])
    writer.add_type(gguf.GGUFType.MODEL)
    writer.add_name(name)
    _add_shape(writer, config, directory)
    plan = list(_planned(directory, config, kind and TYPES[kind]))
    # The type that most weights have, as a number of llama.cpp's.
    most = max({one[3] for one in plan}, key=[one[3] for one in plan].count)
    prefix = "ALL" if most.name == "F32" else "MOSTLY"
    writer.add_file_type(gguf.LlamaFileType[f"{prefix}_{most.name}"])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    add_vocabulary(writer, directory, config["vocab_size"])
    scales = _rope_scales(config, directory)
    tensors = [(name, stored.tensors[source].shape, held) for source, stored, name, held in plan]
    if scales is not None:
        tensors.append(("rope_freqs.weight", scales.shape, gguf.GGMLQuantizationType.F32))
    for name, shape, held in tensors:
        size = int(np.prod(gguf.quant_shape_to_byte_shape(shape, held)))
        writer.add_tensor_info(name, shape, np.dtype(np.float32), size, raw_dtype=held)
    _begin(writer, target)
    for source, stored, _, held in plan:
        values = _permuted(stored.floats(source), source, config)
        writer.write_tensor_data(gguf.quants.quantize(values, held))
    if scales is not None:
        writer.write_tensor_data(scales)
    writer.close()


def write_adapter(files: ModelFiles, target: Path, name: str) -> None:
    """Write the adapter of `files` as the file `target`, in float32. Raises as `write_model`."""
    assert files.adapter is not None
    gguf = _library()
    config = _config(files.directory)
    product = read_product(files.adapter)
    held = headers(files.directory, model_files(files.directory, "full"))
    rank = max(one.rank for one in product.factors.values())
    writer = gguf.GGUFWriter(None, config["model_type"])
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_name(name)
    writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
    writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, float(rank))
    tensors: dict[str, NDArray[np.float32]] = {}
    for module, one in product.factors.items():
        if f"{module}.weight" not in held:  # llama.cpp would refuse the file
            raise BadInput(
                f"the adapter is on `{module}`, and the base has none",
                where=display(files.directory),
                fix="train again without it among `lora_target` (tied weights are in no file)",
            )
        known = _name(gguf, config, f"{module}.weight", files.adapter)
        # llama.cpp multiplies by alpha over the rank of each; the scale is in b already.
        b = _permuted(one.b * (one.rank / rank), f"{module}.weight", config)
        tensors[f"{known}.lora_a"], tensors[f"{known}.lora_b"] = one.a, b
    for known, values in tensors.items():
        writer.add_tensor_info(known, values.shape, values.dtype, values.nbytes)
    _begin(writer, target)
    for values in tensors.values():
        writer.write_tensor_data(np.ascontiguousarray(values))
    writer.close()


def _begin(writer: Any, target: Path) -> None:
    writer.write_header_to_file(path=target)
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()


def _library() -> Any:
    try:
        import gguf
    except ImportError:
        raise BadInput(
            "GGUF files are written with the package `gguf`, which is not installed",
            fix="pip install 'llmops-flywheel[gguf]'",
        ) from None
    return gguf


def _config(directory: Path) -> dict[str, Any]:
    place = directory / "config.json"
    config = read_json(place)
    kind = config.get("model_type")
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    rope_type = rope.get("rope_type", rope.get("type", "default"))
    lacks = [key for key in _NEEDED if not isinstance(config.get(key), int | float)]
    found = [
        f"it is of the architecture `{kind}`" if kind not in _ARCHITECTURES else "",
        "its weights are quantized" if config.get("quantization_config") else "",
        f"its positions are scaled by `{rope_type}`"
        if rope_type not in ("default", "llama3")
        else "",
        f"its config has no figure for {', '.join(lacks)}"
        if lacks and kind in _ARCHITECTURES
        else "",
    ]
    if reasons := "; ".join(filter(None, found)):
        raise BadInput(
            f"this model cannot be written as GGUF here: {reasons}", where=display(place), fix=_ELSE
        )
    return {**config, "rope": rope}


def _add_shape(writer: Any, config: dict[str, Any], directory: Path) -> None:
    heads = config["num_attention_heads"]
    length = config.get("head_dim") or config["hidden_size"] // heads
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(config.get("num_key_value_heads") or heads)
    writer.add_key_length(length)
    writer.add_value_length(length)
    theta = config["rope"].get("rope_theta") or config.get("rope_theta") or 10000.0
    writer.add_rope_freq_base(theta)
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    if config["model_type"] == "llama":
        writer.add_vocab_size(config["vocab_size"])
        writer.add_rope_dimension_count(length)


def _planned(
    directory: Path, config: dict[str, Any], wanted: str | None
) -> Iterator[tuple[str, Stored, str, Any]]:
    """Of each tensor its name, its file, its name in GGUF and the type that it gets."""
    gguf = _library()
    for file in model_files(directory, "full"):
        if not file.endswith(".safetensors"):
            continue
        stored = Stored(directory / file)
        for name, tensor in stored.tensors.items():
            known = _name(gguf, config, name, directory)
            if tensor.dtype not in NUMPY:
                raise BadInput(
                    f"this model cannot be written as GGUF here: `{name}` is {tensor.dtype}",
                    where=display(directory / file),
                    fix=_ELSE,
                )
            held = wanted or _STORED[tensor.dtype]
            if held == "Q8_0" and tensor.shape[-1] % 32:
                held = "F16"  # blocks are of 32
            # llama.cpp computes with vectors in float32 only.
            held = "F32" if len(tensor.shape) == 1 else held
            yield name, stored, known, gguf.GGMLQuantizationType[held]


def _name(gguf: Any, config: dict[str, Any], name: str, where: Path) -> str:
    names = gguf.get_tensor_name_map(
        gguf.MODEL_ARCH[config["model_type"].upper()], config["num_hidden_layers"]
    )
    found = names.get_name(name, try_suffixes=(".weight", ".bias"))
    if found is None:
        raise BadInput(
            f"this model cannot be written as GGUF here: llama.cpp has no place for `{name}`",
            where=display(where),
            fix=_ELSE,
        )
    return str(found)


def _permuted(
    values: NDArray[np.float32], name: str, config: dict[str, Any]
) -> NDArray[np.float32]:
    """llama.cpp turns neighbouring figures of a Llama's queries and keys, transformers those half
    a head apart: the rows change places."""
    of_queries = ".q_proj." in name
    if config["model_type"] != "llama" or not (of_queries or ".k_proj." in name):
        return np.ascontiguousarray(values)
    heads = config["num_attention_heads"]
    heads = heads if of_queries else config.get("num_key_value_heads") or heads
    rows, *rest = values.shape
    halves = values.reshape(heads, 2, rows // heads // 2, *rest)
    return np.ascontiguousarray(halves.swapaxes(1, 2).reshape(values.shape))


def _rope_scales(config: dict[str, Any], directory: Path) -> NDArray[np.float32] | None:
    """By which each frequency is divided in Llama 3.1 and later: low ones by `factor`, high ones
    not at all, those between by something between."""
    rope = config["rope"]
    if rope.get("rope_type", rope.get("type")) != "llama3":
        return None
    length = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
    theta = rope.get("rope_theta") or config.get("rope_theta") or 10000.0
    turns = rope["original_max_position_embeddings"] / (
        2 * np.pi * theta ** (np.arange(0, length, 2) / length)
    )
    low, high = rope["low_freq_factor"], rope["high_freq_factor"]
    between = np.clip((turns - low) / (high - low), 0, 1)
    scales: NDArray[np.float64] = 1 / ((1 - between) / rope["factor"] + between)
    return scales.astype(np.float32)
