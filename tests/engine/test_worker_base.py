"""A base model from scratch, made by the worker in the real engine's environment."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from llmops.engines.contract import Environment
from tests.engine.worker_run import WORKER, run

pytestmark = pytest.mark.engine

ARCHITECTURE: dict[str, Any] = {
    "model_type": "qwen2",
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
}


def request(root: Path, **changes: Any) -> list[str]:
    """The worker's command line for a small model, after writing its base.json."""
    rows = [{"text": f"Row {n} says: {'na' * (n % 7)} and {n * n}."} for n in range(300)]
    (root / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    texts = [{"path": str(root / "rows.jsonl"), "layout": "text", "columns": {"text": "text"}}]
    asked = {
        "architecture": ARCHITECTURE,
        "vocab_size": 400,
        "chat_template": None,
        "special_tokens": ["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        "eos_token": "<|im_end|>",
        "pad_token": "<|endoftext|>",
        "dtype": "float32",
        "seed": 3,
        "texts": texts,
        "result": str(root / "result"),
        "golden": [],
        "golden_file": str(root / "golden.json"),
        "phases": str(root / "phases.jsonl"),
        **changes,
    }
    (root / "base.json").write_text(json.dumps(asked))
    return [str(WORKER / "make_base.py"), str(root / "base.json")]


def digests(root: Path) -> dict[str, str]:
    return {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in (root / "result").iterdir()
    }


def test_the_same_request_makes_the_same_bytes(llamafactory: Environment, tmp_path: Path) -> None:
    made = []
    for seed, threads in (("1", "1"), ("2", "2")):
        root = tmp_path / seed
        root.mkdir()
        run(llamafactory, request(root), root, PYTHONHASHSEED=seed, OMP_NUM_THREADS=threads)
        made.append(digests(root))
    assert made[0] == made[1]
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= made[0].keys()


def test_a_base_has_as_many_embeddings_as_tokens(llamafactory: Environment, tmp_path: Path) -> None:
    run(llamafactory, request(tmp_path, dtype="bfloat16"), tmp_path)
    config = json.loads((tmp_path / "result/config.json").read_text())
    tokenizer = json.loads((tmp_path / "result/tokenizer.json").read_text())
    assert config["vocab_size"] == len(tokenizer["model"]["vocab"])
    assert (config["dtype"], config["eos_token_id"], config["pad_token_id"]) == ("bfloat16", 2, 0)


def test_a_base_without_prompts_of_its_own_gets_neutral_ones(
    llamafactory: Environment, tmp_path: Path
) -> None:
    run(llamafactory, request(tmp_path), tmp_path)
    *chats, text = json.loads((tmp_path / "golden.json").read_text())
    assert chats
    assert all("messages" in chat for chat in chats)
    assert text["text"]


READ = """
import json, sys
from transformers import AutoTokenizer
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
texts = ["Row 1234 (na-na) isn't", "  two\\n\\n spaces", "e\u0301 <|endoftext|>", "\U0001f600"]
print("read", json.dumps([len(tokenizer), tokenizer(texts)["input_ids"]]))
"""


@pytest.mark.parametrize("model_type", ["qwen2", "llama"])
def test_a_server_reads_the_tokenizer_as_the_engine_does(
    llamafactory: Environment, vllm: Environment, tmp_path: Path, model_type: str
) -> None:
    special = ["<|pad|>", "<|im_end|>"]
    changes = {"architecture": {**ARCHITECTURE, "model_type": model_type}, "vocab_size": 320}
    changes |= {"special_tokens": special, "pad_token": "<|pad|>", "chat_template": "{{ 1 }}"}
    run(llamafactory, request(tmp_path, **changes), tmp_path)
    read = [
        run(environment, ["-c", READ, str(tmp_path / "result")], tmp_path).split("read ")[1]
        for environment in (llamafactory, vllm)
    ]
    assert read[0] == read[1]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model_type": "qwen22"}, "architecture.model_type: `qwen22` is unknown; did you mean `"),
        ({"hiden_size": 8}, "architecture.hiden_size: unknown to `qwen2`; did you mean `hidden_s"),
        ({"vocab_size": 9}, "architecture.vocab_size: is not given here"),
        ({"hidden_size": "big"}, "architecture: Validation error for field 'hidden_size'"),
        ({"num_attention_heads": 3}, "architecture: Number of heads"),
    ],
)
def test_a_mistake_in_the_architecture_is_named(
    llamafactory: Environment, tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    argv = request(tmp_path, architecture={**ARCHITECTURE, **changes})
    last = run(llamafactory, argv, tmp_path, expect=1).splitlines()[-1]
    assert last.startswith(f"error: {said}")
    assert not (tmp_path / "result").exists()
