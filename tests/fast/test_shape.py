"""What is known of a model's size from its files, and of which nothing is."""

import json
from pathlib import Path
from typing import Any

import pytest

from llmops.engines.shape import shape_of, shape_of_architecture
from tests.fast.models_on_disk import write_safetensors

CONFIG = {
    "hidden_size": 8,
    "intermediate_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "vocab_size": 32,
}
EMBEDDED = {"model.embed_tokens.weight": [32, 8], "model.layers.0.mlp.up_proj.weight": [16, 8]}


def write(folder: Path, tensors: dict[str, list[int]], **more: Any) -> Path:
    (folder / "config.json").write_text(json.dumps({**CONFIG, **more}))
    (folder / "tokenizer.json").write_text("{}")
    write_safetensors(folder / "model.safetensors", tensors)
    return folder


def test_embeddings_are_tied_where_there_is_no_head(tmp_path: Path) -> None:
    # Gemma's config leaves out what is its default.
    tied = shape_of(write(tmp_path, EMBEDDED))
    assert tied is not None
    assert tied.embeddings == 32 * 8
    two = shape_of(write(tmp_path, {**EMBEDDED, "lm_head.weight": [32, 8]}))
    assert two is not None
    assert two.embeddings == 2 * 32 * 8


def test_experts_are_known_by_their_names(tmp_path: Path) -> None:
    expert = {"model.layers.0.mlp.experts.3.up_proj.weight": [16, 8]}
    found = shape_of(write(tmp_path, {**EMBEDDED, **expert}))
    assert found is not None
    assert found.experts == 16 * 8
    assert shape_of_architecture({**CONFIG, "num_experts_per_tok": 2}, 32) is None
    assert shape_of_architecture(CONFIG, 32) is not None


@pytest.mark.parametrize("key", ["vision_config", "audio_config", "quantization_config"])
def test_of_more_than_text_in_plain_weights_nothing_is_known(key: str, tmp_path: Path) -> None:
    assert shape_of(write(tmp_path, EMBEDDED)) is not None
    assert shape_of(write(tmp_path, EMBEDDED, **{key: {"bits": 4}})) is None
