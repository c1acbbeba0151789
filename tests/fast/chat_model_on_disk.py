"""A small chat model on disk whose every part another tool wants to know: shapes, tensors, a
byte-level BPE tokenizer, a chat template. Its weights are random."""

import json
from pathlib import Path
from typing import Any

from tokenizers import pre_tokenizers

from llmops.publish.tensors import rounded, write
from tests.fast.lora_on_disk import Matrix, random

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
QWEN2 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
SPLIT = {"type": "Split", "pattern": {"Regex": QWEN2}, "behavior": "Isolated", "invert": False}
BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
HIDDEN, HEADS, GROUPS, VOCABULARY = 32, 4, 2, 264


def write_chat_model(
    directory: Path, model_type: str = "qwen2", dtype: str = "F32", **config: Any
) -> Path:
    directory.mkdir(parents=True)
    shape = {
        "model_type": model_type,
        "hidden_size": HIDDEN,
        "intermediate_size": 64,
        "num_hidden_layers": 1,
        "num_attention_heads": HEADS,
        "num_key_value_heads": GROUPS,
        "max_position_embeddings": 512,
        "rms_norm_eps": 1e-6,
        "rope_parameters": {"rope_theta": 10000.0, "rope_type": "default"},
        "vocab_size": VOCABULARY,
    }
    (directory / "config.json").write_text(json.dumps(shape | config))
    tensors = {name: rounded(one, dtype) for name, one in _weights(model_type).items()}
    write(directory / "model.safetensors", tensors, dtype)
    (directory / "chat_template.jinja").write_text(CHATML)
    (directory / "generation_config.json").write_text('{"temperature": 0.7, "top_p": 0.8}')
    special = {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}
    (directory / "tokenizer_config.json").write_text(json.dumps(special))
    write_tokenizer(directory)
    return directory


def write_tokenizer(directory: Path, **parts: Any) -> None:
    """parts: of tokenizer.json, in place of its own."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {letter: len(SPECIAL) + number for number, letter in enumerate(letters)}
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    added = [
        {"id": number, "content": text, "special": True, **plain}
        for number, text in enumerate(SPECIAL)
    ]
    added.append({"id": 260, "content": "<think>", "special": False, **plain})
    whole = {
        "version": "1.0",
        "added_tokens": added,
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [SPLIT, BYTES]},
        "post_processor": None,
        "decoder": BYTES,
        "model": {"type": "BPE", "vocab": vocabulary | {"th": 259}, "merges": [["t", "h"]]},
    }
    (directory / "tokenizer.json").write_text(json.dumps(whole | parts))


def _weights(model_type: str) -> dict[str, Matrix]:
    width = HIDDEN // HEADS
    sizes: dict[str, tuple[int, ...]] = {
        "self_attn.q_proj.weight": (HIDDEN, HIDDEN),
        "self_attn.k_proj.weight": (GROUPS * width, HIDDEN),
        "self_attn.v_proj.weight": (GROUPS * width, HIDDEN),
        "self_attn.o_proj.weight": (HIDDEN, HIDDEN),
        "mlp.gate_proj.weight": (64, HIDDEN),
        "mlp.up_proj.weight": (64, HIDDEN),
        "mlp.down_proj.weight": (HIDDEN, 64),
        "input_layernorm.weight": (HIDDEN,),
        "post_attention_layernorm.weight": (HIDDEN,),
    }
    if model_type == "qwen2":
        sizes |= {"self_attn.q_proj.bias": (HIDDEN,), "self_attn.k_proj.bias": (GROUPS * width,)}
    if model_type == "qwen3":
        sizes |= {"self_attn.q_norm.weight": (width,), "self_attn.k_norm.weight": (width,)}
    whole = {f"model.layers.0.{name}": size for name, size in sizes.items()}
    whole |= {"model.embed_tokens.weight": (VOCABULARY, HIDDEN), "model.norm.weight": (HIDDEN,)}
    return {name: random(n, *size) for n, (name, size) in enumerate(whole.items())}
