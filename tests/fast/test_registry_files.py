import json
import os
from pathlib import Path

import pytest

from llmops.errors import BadInput
from llmops.registry.adapters import check_fits, read_adapter
from llmops.registry.files import kind_of, model_files
from llmops.registry.weights import dtype_of, read_header
from tests.fast.models_on_disk import BASE, write_adapter, write_full, write_safetensors


def test_the_header_gives_names_shapes_and_dtype(tmp_path: Path) -> None:
    write_safetensors(tmp_path / "w", BASE)
    header = read_header(tmp_path / "w")
    assert {name: list(tensor.shape) for name, tensor in header.items()} == BASE
    assert dtype_of(header) == "float32"


@pytest.mark.parametrize("keep", [0, 7, 20, -1])
def test_a_file_that_was_cut_off_is_refused(tmp_path: Path, keep: int) -> None:
    write_safetensors(tmp_path / "w", BASE)
    size = (tmp_path / "w").stat().st_size
    os.truncate(tmp_path / "w", keep % size)
    with pytest.raises(BadInput, match="not a complete safetensors file"):
        read_header(tmp_path / "w")


def test_a_file_with_bytes_too_many_is_refused(tmp_path: Path) -> None:
    write_safetensors(tmp_path / "w", BASE)
    with (tmp_path / "w").open("ab") as file:
        file.write(b"x")
    with pytest.raises(BadInput, match="where its header promises"):
        read_header(tmp_path / "w")


@pytest.mark.parametrize(
    "entry",
    [
        {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]},
        {"dtype": "F32", "shape": [1]},
        [],
    ],
)
def test_a_header_that_contradicts_itself_is_refused(tmp_path: Path, entry: object) -> None:
    text = json.dumps({"w": entry}).encode()
    length = entry["data_offsets"][1] if isinstance(entry, dict) and len(entry) == 3 else 4
    (tmp_path / "w").write_bytes(len(text).to_bytes(8, "little") + text + bytes(length))
    with pytest.raises(BadInput, match="not a complete safetensors file"):
        read_header(tmp_path / "w")


def test_a_header_longer_than_the_file_is_not_even_read(tmp_path: Path) -> None:
    (tmp_path / "w").write_bytes(b"\xff" * 64)
    with pytest.raises(BadInput, match="no safetensors header"):
        read_header(tmp_path / "w")


def shard(directory: Path, weight_map: dict[str, str]) -> None:
    (directory / "model.safetensors").rename(directory / "model-1.safetensors")
    index = {"weight_map": weight_map}
    (directory / "model.safetensors.index.json").write_text(json.dumps(index))


def test_shards_are_those_that_the_index_names(tmp_path: Path) -> None:
    full = write_full(tmp_path / "m")
    shard(full, dict.fromkeys(BASE, "model-1.safetensors"))
    write_safetensors(full / "consolidated.safetensors", BASE)
    assert [n for n in model_files(full, "full") if n.endswith(".safetensors")] == [
        "model-1.safetensors"
    ]


@pytest.mark.parametrize(
    ("weight_map", "what"),
    [
        ({"w": "model-2.safetensors"}, "`model-2.safetensors` is missing"),
        ({"absent": "model-1.safetensors"}, "such as `absent`"),
        ({"w": "../model-1.safetensors"}, "not the name of a weight file"),
        ({}, "no `weight_map`"),
    ],
)
def test_an_index_that_does_not_fit_is_refused(
    tmp_path: Path, weight_map: dict[str, str], what: str
) -> None:
    full = write_full(tmp_path / "m")
    shard(full, weight_map)
    with pytest.raises(BadInput, match=what):
        model_files(full, "full")


@pytest.mark.parametrize("name", ["pytorch_model.bin", "consolidated.00.pth"])
def test_pickled_weights_are_refused_with_the_reason(tmp_path: Path, name: str) -> None:
    full = write_full(tmp_path / "m")
    (full / "model.safetensors").rename(full / name)
    (full / "training_args.bin").write_text("")
    with pytest.raises(BadInput, match=rf"a pickle \(`{name}`\).*runs what is in it"):
        model_files(full, "full")


def test_training_arguments_are_not_taken_for_weights(tmp_path: Path) -> None:
    full = write_full(tmp_path / "m")
    (full / "model.safetensors").rename(full / "training_args.bin")
    with pytest.raises(BadInput, match=r"`model.safetensors` is missing"):
        model_files(full, "full")


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_model_without_one_of_its_parts_is_refused(tmp_path: Path, name: str) -> None:
    full = write_full(tmp_path / "m")
    (full / name).unlink()
    with pytest.raises(BadInput):
        model_files(full, "full")


def test_the_kind_is_told_by_the_config(tmp_path: Path) -> None:
    assert kind_of(write_full(tmp_path / "f")) == "full"
    assert kind_of(write_adapter(tmp_path / "a")) == "adapter"
    with pytest.raises(BadInput, match=r"neither config.json nor adapter_config.json"):
        kind_of(tmp_path)
    with pytest.raises(BadInput, match="no such directory"):
        kind_of(tmp_path / "x")


def test_a_plain_adapter_is_servable(tmp_path: Path) -> None:
    adapter = read_adapter(write_adapter(tmp_path / "a", "base", rank=4, use_rslora=True))
    assert (adapter.rank, adapter.base, adapter.dtype) == (4, "base", "float32")


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"use_dora": True}, "DoRA"),
        ({"bias": "all"}, "biases"),
        ({"lora_bias": True}, "biases"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save: lm_head"),
        ({"trainable_token_indices": [1]}, "token embeddings"),
        ({"init_lora_weights": "pissa"}, "`pissa`"),
        ({"layer_replication": [[0, 1]]}, "replicates"),
        ({"peft_type": "VERA"}, "VERA, not LoRA"),
        ({"r": 0}, "rank `r` is 0"),
        ({"r": 3}, "its config says 3"),
    ],
)
def test_what_vllm_cannot_serve_is_refused_with_the_reason(
    tmp_path: Path, config: dict[str, object], reason: str
) -> None:
    directory = write_adapter(tmp_path / "a", **config)  # type: ignore[arg-type]
    with pytest.raises(BadInput, match=f"cannot be served.*{reason}"):
        read_adapter(directory)


@pytest.mark.parametrize(
    ("shapes", "reason"),
    [
        ({"base_model.model.lm_head.weight": [8, 4]}, "not half of a LoRA pair"),
        ({"base_model.model.q.lora_A.weight": [2, 4]}, "not half of a LoRA pair"),
        ({"q.lora_A.weight": [2, 4], "q.lora_B.weight": [4, 2]}, "does not begin with"),
        ({}, "no tensors"),
    ],
)
def test_tensors_that_are_no_lora_are_refused(
    tmp_path: Path, shapes: dict[str, list[int]], reason: str
) -> None:
    directory = write_adapter(tmp_path / "a")
    write_safetensors(directory / "adapter_model.safetensors", shapes)
    with pytest.raises(BadInput, match=reason):
        read_adapter(directory)


def test_an_adapter_of_another_base_is_refused_by_shape(tmp_path: Path) -> None:
    base, directory = write_full(tmp_path / "m"), write_adapter(tmp_path / "a")
    check_fits(read_adapter(directory), directory, base)
    write_safetensors(base / "model.safetensors", {"model.q_proj.weight": [6, 5]})
    with pytest.raises(BadInput, match=r"`model.q_proj` is \[6, 5\] in the base, \[6, 4\]"):
        check_fits(read_adapter(directory), directory, base)
