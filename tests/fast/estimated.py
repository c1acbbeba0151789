"""Models by their sizes, recipes, and what the formula says that they need."""

from pathlib import Path
from typing import Any

from llmops.engines.contract import Memory, ModelFiles
from llmops.engines.llamafactory.memory import memory
from llmops.engines.shape import Shape, shape_of_architecture
from llmops.spec.load import Loaded, load_data
from llmops.spec.recipe import TrainRecipe

FULL = {"finetuning_type": "full"}
HALF = {"bf16": True}
GB = 10**9

_SIZES: dict[str, tuple[int, int, int, int, int, int]] = {
    "Qwen 1.8B": (2048, 5504, 24, 16, 16, 151_936),
    "Qwen 7B": (4096, 11008, 32, 32, 32, 151_936),
    "Qwen 14B": (5120, 13696, 40, 40, 40, 152_064),
    "Qwen 72B": (8192, 24576, 80, 64, 64, 152_064),
    "Llama 2 7B": (4096, 11008, 32, 32, 32, 32_000),
    "Llama 2 13B": (5120, 13824, 40, 40, 40, 32_000),
    "Llama 3.1 8B": (4096, 14336, 32, 32, 8, 128_256),
    "Llama 3.1 70B": (8192, 28672, 80, 64, 8, 128_256),
    "Llama 3.2 3B": (3072, 8192, 28, 24, 8, 128_256),
    "Qwen3 8B": (4096, 12288, 36, 32, 8, 151_936),
}
"""hidden, intermediate, layers, heads, key-value heads, vocabulary: each config.json's."""


def model(name: str) -> Shape:
    """Stored in 16 bits."""
    hidden, inner, layers, heads, keys, vocabulary = _SIZES[name]
    config = {
        "model_type": "llama",
        "hidden_size": hidden,
        "intermediate_size": inner,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": keys,
        "tie_word_embeddings": name == "Llama 3.2 3B",
    }
    shape = shape_of_architecture(config, vocabulary, bytes_each=2)
    assert shape is not None
    return shape


def recipe(
    args: dict[str, Any], stage: str = "sft", devices: int = 1, **data: Any
) -> Loaded[TrainRecipe]:
    """data: more of its `data:`."""
    declared = {
        "kind": "train",
        "stage": stage,
        "base": "path:model",
        "data": {"train": ["path:data.jsonl"], **data},
        "args": args,
        "resources": {"devices": devices},
        "output": {"model": "town"},
    }
    return load_data(declared, TrainRecipe, Path("recipe.yaml"))


def needed(
    args: dict[str, Any],
    stage: str = "sft",
    *,
    of: str = "Llama 2 7B",
    devices: int = 1,
    longest: int | None = 256,
    gpu: bool = True,
    **data: Any,
) -> Memory:
    """Of micro-batches of one sample."""
    given = recipe({"per_device_train_batch_size": 1, **args}, stage, devices, **data)
    return memory(given, ModelFiles(Path("model")), model(of), longest, gpu=gpu)
