"""Concatenation of adapters that peft made, of every shape that it covers, and of none that not."""

import json
import shutil
from pathlib import Path

import pytest

from llmops.engines.contract import Environment
from tests.engine.worker_run import WORKER, run

pytestmark = pytest.mark.engine

# Makes the adapters of each case with random factors, concatenates them, and prints the largest
# difference of the logits from those of base + first merged + second, and how much they matter.
CASES = """
import sys, torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM
sys.path.insert(0, sys.argv[1])
from concatenate import concatenate

base, root = sys.argv[2:]
plain = dict(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"])
cases = {
    "plain": (plain, plain),
    "ranks": (plain, {**plain, "r": 2, "lora_alpha": 7}),
    "targets": (plain, {**plain, "target_modules": ["q_proj", "up_proj", "down_proj"]}),
    "rslora": ({**plain, "use_rslora": True}, plain),
    "patterns": (
        {**plain, "rank_pattern": {"v_proj": 3}, "alpha_pattern": {"v_proj": 5}},
        {**plain, "rank_pattern": {r"layers\\.0\\.self_attn\\.q_proj": 6}},
    ),
    "layers": (plain, {**plain, "layers_to_transform": [1]}),
    "bfloat16": ({**plain, "lora_alpha": 7}, {**plain, "lora_alpha": 5}),
}
load = lambda: AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
ids = torch.arange(8, 40)[None]

def make(options, directory, dtype):
    model = get_peft_model(load(), LoraConfig(task_type="CAUSAL_LM", **options))
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            parameter.data = torch.randn_like(parameter).mul(0.1).to(dtype)
    model.save_pretrained(directory)

def on(model, directory):
    return PeftModel.from_pretrained(model, directory).eval()

torch.manual_seed(0)
for name, (one, two) in cases.items():
    dtype = torch.bfloat16 if name == "bfloat16" else torch.float32
    first, second, both = (f"{root}/{name}-{part}" for part in ("first", "second", "both"))
    make(one, first, dtype)
    make(two, second, dtype)
    concatenate(first, second, both)
    with torch.inference_mode():
        merged = on(on(load(), first).merge_and_unload(), second)(ids).logits
        wrong = (on(load(), second)(ids).logits - merged).abs().max()
        right = (on(load(), both)(ids).logits - merged).abs().max()
    print("case", name, float(right), float(wrong))
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("adapters")


@pytest.fixture(scope="module")
def measured(
    llamafactory: Environment, two_layers: Path, root: Path
) -> dict[str, tuple[float, float]]:
    """By case: the difference of the concatenated adapter, and of the second alone."""
    said = run(llamafactory, ["-c", CASES, str(WORKER), str(two_layers), str(root)], root)
    rows = [line.split() for line in said.splitlines() if line.startswith("case ")]
    return {name: (float(right), float(wrong)) for _, name, right, wrong in rows}


@pytest.fixture(scope="module")
def two_layers(llamafactory: Environment, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model small enough for many cases, with weights so large that adapters matter."""
    directory = tmp_path_factory.mktemp("base") / "model"
    make = """
import sys, torch
from transformers import AutoModelForCausalLM, LlamaConfig
config = LlamaConfig(vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=2,
    num_attention_heads=4, num_key_value_heads=2, initializer_range=0.2)
torch.manual_seed(0)
AutoModelForCausalLM.from_config(config).save_pretrained(sys.argv[1])
"""
    run(llamafactory, ["-c", make, str(directory)], directory.parent)
    return directory


@pytest.mark.parametrize("case", ["plain", "ranks", "targets", "rslora", "patterns", "layers"])
def test_two_adapters_as_one_equal_the_merged_model(
    measured: dict[str, tuple[float, float]], case: str
) -> None:
    right, wrong = measured[case]
    assert right < 1e-4
    assert wrong > 1e-2


def test_in_bfloat16_rounding_is_all_that_differs(
    measured: dict[str, tuple[float, float]],
) -> None:
    right, wrong = measured["bfloat16"]
    assert right < wrong / 50


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("use_dora", True),
        ("bias", "all"),
        ("modules_to_save", ["lm_head"]),
        ("trainable_token_indices", [1]),
        ("init_lora_weights", "pissa"),
        ("peft_type", "IA3"),
    ],
)
@pytest.mark.usefixtures("measured")
def test_what_is_not_plain_lora_is_refused(
    llamafactory: Environment, root: Path, tmp_path: Path, key: str, value: object
) -> None:
    odd = tmp_path / "odd"
    shutil.copytree(root / "plain-first", odd)
    config = json.loads((odd / "adapter_config.json").read_text())
    (odd / "adapter_config.json").write_text(json.dumps({**config, key: value}))
    argv = [str(WORKER / "concatenate.py"), str(odd), str(root / "plain-second"), "out"]
    said = run(llamafactory, argv, tmp_path, expect=1)
    assert said.splitlines()[-1].startswith(f"error: {odd}: ")
    assert str(value if key in ("init_lora_weights", "peft_type") else key) in said
    assert not (tmp_path / "out").exists()
