"""GGUF files, read back with llama.cpp's own reader."""

import sys
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from llmops.engines.contract import ModelFiles
from llmops.errors import BadInput
from llmops.publish.gguf_files import write_adapter, write_model
from llmops.publish.tensors import Stored
from tests.fast.chat_model_on_disk import HIDDEN, SPECIAL, write_chat_model, write_tokenizer
from tests.fast.lora_on_disk import Matrix, random, write_lora

LAYER = "model.layers.0."
NAMES = {
    f"{LAYER}self_attn.q_proj.weight": "blk.0.attn_q.weight",
    f"{LAYER}self_attn.k_proj.weight": "blk.0.attn_k.weight",
    f"{LAYER}self_attn.v_proj.weight": "blk.0.attn_v.weight",
    f"{LAYER}self_attn.o_proj.weight": "blk.0.attn_output.weight",
    f"{LAYER}mlp.gate_proj.weight": "blk.0.ffn_gate.weight",
    f"{LAYER}mlp.up_proj.weight": "blk.0.ffn_up.weight",
    f"{LAYER}mlp.down_proj.weight": "blk.0.ffn_down.weight",
    f"{LAYER}input_layernorm.weight": "blk.0.attn_norm.weight",
    f"{LAYER}post_attention_layernorm.weight": "blk.0.ffn_norm.weight",
    f"{LAYER}self_attn.q_proj.bias": "blk.0.attn_q.bias",
    f"{LAYER}self_attn.k_proj.bias": "blk.0.attn_k.bias",
    f"{LAYER}self_attn.q_norm.weight": "blk.0.attn_q_norm.weight",
    f"{LAYER}self_attn.k_norm.weight": "blk.0.attn_k_norm.weight",
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
}
HEADS_OF = {"blk.0.attn_q.weight": 4, "blk.0.attn_k.weight": 2}


def tensors(file: Path) -> dict[str, Matrix]:
    found = gguf.GGUFReader(file).tensors
    return {one.name: gguf.quants.dequantize(one.data, one.tensor_type) for one in found}


def value(file: Path, key: str) -> Any:
    return gguf.GGUFReader(file).get_field(key).contents()


def as_neighbours(rows: Matrix, heads: int) -> Matrix:
    """Rows i and i + half of each head beside each other."""
    order = [
        head * (len(rows) // heads) + part * (len(rows) // heads // 2) + i
        for head in range(heads)
        for i in range(len(rows) // heads // 2)
        for part in (0, 1)
    ]
    return rows[order]


@pytest.mark.parametrize("architecture", ["llama", "qwen2", "qwen3"])
@pytest.mark.parametrize(
    ("stored", "kind", "error"),
    [("F32", None, 0), ("BF16", None, 0), ("F32", "f16", 1e-3), ("BF16", "q8_0", 0.02)],
)
def test_every_weight_reads_back_under_its_name(
    tmp_path: Path, architecture: str, stored: str, kind: str | None, error: float
) -> None:
    base = write_chat_model(tmp_path / "base", architecture, stored)
    write_model(base, tmp_path / "m.gguf", "town:v1", kind)
    before, after = Stored(base / "model.safetensors"), tensors(tmp_path / "m.gguf")
    assert {NAMES[name] for name in before.tensors} == after.keys()
    for name in before.tensors:
        expected = before.floats(name)
        if architecture == "llama" and NAMES[name] in HEADS_OF:
            expected = as_neighbours(expected, HEADS_OF[NAMES[name]])
        assert np.allclose(after[NAMES[name]], expected, atol=2 * error, rtol=error), name


def test_what_the_model_is_stands_in_the_header(tmp_path: Path) -> None:
    write_model(write_chat_model(tmp_path / "base"), tmp_path / "m.gguf", "town:v1", "q8_0")
    file = tmp_path / "m.gguf"
    assert value(file, "general.architecture") == "qwen2"
    assert value(file, "general.file_type") == gguf.LlamaFileType.MOSTLY_Q8_0
    assert value(file, "qwen2.attention.head_count_kv") == 2
    assert value(file, "qwen2.rope.freq_base") == 10000
    assert "<|im_start|>" in value(file, "tokenizer.chat_template")


def test_tokens_keep_their_ids_and_kinds(tmp_path: Path) -> None:
    write_model(write_chat_model(tmp_path / "base"), tmp_path / "m.gguf", "town:v1")
    file = tmp_path / "m.gguf"
    tokens, kinds = (value(file, f"tokenizer.ggml.{key}") for key in ("tokens", "token_type"))
    assert tokens[: len(SPECIAL)] == list(SPECIAL)
    assert (tokens[259], tokens[260], tokens[261]) == ("th", "<think>", "[PAD261]")
    kind = gguf.TokenType
    assert [kinds[n] for n in (0, 3, 259, 260, 261)] == [
        kind.CONTROL,
        kind.NORMAL,
        kind.NORMAL,
        kind.USER_DEFINED,
        kind.UNUSED,
    ]
    assert value(file, "tokenizer.ggml.merges") == ["t h"]
    assert value(file, "tokenizer.ggml.pre") == "qwen2"
    assert value(file, "tokenizer.ggml.eos_token_id") == 2
    assert value(file, "tokenizer.ggml.add_bos_token") is False


def test_gpt2s_own_splitting_is_known_too(tmp_path: Path) -> None:
    base = write_chat_model(tmp_path / "base", "llama")
    rule = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    write_tokenizer(base, pre_tokenizer=rule)
    write_model(base, tmp_path / "m.gguf", "town:v1")
    assert value(tmp_path / "m.gguf", "tokenizer.ggml.pre") == "gpt-2"


@pytest.mark.parametrize(
    ("architecture", "config"),
    [("llama", {"use_rslora": True, "lora_alpha": 3}), ("qwen3", {"lora_alpha": 5})],
)
def test_an_adapter_adds_what_it_added(
    tmp_path: Path, architecture: str, config: dict[str, Any]
) -> None:
    a, b = random(1, 2, HIDDEN), random(2, HIDDEN, 2)
    module = f"{LAYER}self_attn.q_proj"
    adapter = write_lora(tmp_path / "a", {module: (a, b)}, **config)
    base = write_chat_model(tmp_path / "base", architecture)
    write_adapter(ModelFiles(base, adapter), tmp_path / "a.gguf", "town:v2")
    found = tensors(tmp_path / "a.gguf")
    alpha = value(tmp_path / "a.gguf", "adapter.lora.alpha")
    kept = found["blk.0.attn_q.weight.lora_b"] @ found["blk.0.attn_q.weight.lora_a"] * alpha / 2
    added = (b @ a) * (3 / 2**0.5 if "use_rslora" in config else 5 / 2)
    expected = as_neighbours(added, 4) if architecture == "llama" else added
    assert np.allclose(kept, expected, atol=1e-5)
    assert value(tmp_path / "a.gguf", "general.type") == "adapter"


def test_an_adapter_on_a_head_that_is_in_no_file_is_refused(tmp_path: Path) -> None:
    """It is tied to the embeddings: llama.cpp refuses an adapter on what its model lacks."""
    adapter = write_lora(tmp_path / "a", {"lm_head": (random(1, 2, HIDDEN), random(2, 264, 2))})
    files = ModelFiles(write_chat_model(tmp_path / "base"), adapter)
    with pytest.raises(BadInput, match="the adapter is on `lm_head`, and the base has none"):
        write_adapter(files, tmp_path / "a.gguf", "town:v2")


def test_modules_of_several_ranks_share_one_alpha(tmp_path: Path) -> None:
    factors = {
        f"{LAYER}self_attn.q_proj": (random(1, 4, HIDDEN), random(2, HIDDEN, 4)),
        f"{LAYER}mlp.up_proj": (random(3, 2, HIDDEN), random(4, 64, 2)),
    }
    adapter = write_lora(tmp_path / "a", factors, rank_pattern={"up_proj": 2}, lora_alpha=4)
    base = write_chat_model(tmp_path / "base")
    write_adapter(ModelFiles(base, adapter), tmp_path / "a.gguf", "town:v2")
    found, alpha = tensors(tmp_path / "a.gguf"), 4
    assert value(tmp_path / "a.gguf", "adapter.lora.alpha") == alpha
    a, b = factors[f"{LAYER}mlp.up_proj"]
    kept = found["blk.0.ffn_up.weight.lora_b"] @ found["blk.0.ffn_up.weight.lora_a"] * alpha / 2
    assert np.allclose(kept, (b @ a) * 4 / 2, atol=1e-5)


def test_llama3_divides_its_low_frequencies(tmp_path: Path) -> None:
    rope = {"rope_type": "llama3", "rope_theta": 5e5, "factor": 8.0, "low_freq_factor": 1.0}
    rope |= {"high_freq_factor": 4.0, "original_max_position_embeddings": 8192}
    base = write_chat_model(tmp_path / "base", "llama", rope_parameters=rope, head_dim=8)
    write_model(base, tmp_path / "m.gguf", "town:v1")
    scales = tensors(tmp_path / "m.gguf")["rope_freqs.weight"]
    assert scales[:2].tolist() == [1, 1]
    assert scales[3] == 8
    turns = 8192 / (2 * np.pi * 5e5 ** (4 / 8))
    assert scales[2] == pytest.approx(1 / ((1 - (turns - 1) / 3) / 8 + (turns - 1) / 3), rel=1e-6)


@pytest.mark.parametrize(
    ("architecture", "config", "told"),
    [
        ("gemma2", {"rms_norm_eps": None}, "architecture `gemma2`\n"),
        ("llama", {"rope_scaling": {"type": "yarn"}, "rope_parameters": None}, "scaled by `yarn`"),
        ("llama", {"quantization_config": {"bits": 4}}, "quantized"),
        ("llama", {"rms_norm_eps": None}, "no figure for rms_norm_eps"),
        ("llama", {"vocab_size": 200}, "more tokens than the model"),
    ],
)
def test_what_is_not_covered_is_refused(
    tmp_path: Path, architecture: str, config: dict[str, Any], told: str
) -> None:
    base = write_chat_model(tmp_path / "base", architecture, **config)
    with pytest.raises(BadInput, match=told):
        write_model(base, tmp_path / "m.gguf", "town:v1")


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        ({"model": {"type": "Unigram", "vocab": []}}, "not byte-level BPE"),
        ({"pre_tokenizer": {"type": "Whitespace"}}, "split by another rule"),
    ],
)
def test_other_tokenizers_are_refused(tmp_path: Path, parts: dict[str, Any], told: str) -> None:
    base = write_chat_model(tmp_path / "base")
    write_tokenizer(base, **parts)
    with pytest.raises(BadInput, match=told):
        write_model(base, tmp_path / "m.gguf", "town:v1")


def test_without_the_package_it_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(BadInput, match="not installed") as error:
        write_model(write_chat_model(tmp_path / "base"), tmp_path / "m.gguf", "town:v1")
    assert error.value.fix == "pip install 'llmops-flywheel[gguf]'"
