"""Golden prompts of a model as it lies on disk, against what transformers itself says."""

import json
from pathlib import Path
from typing import Any

import pytest

from llmops.engines.contract import Environment
from tests.engine.worker_run import WORKER, run

pytestmark = pytest.mark.engine

PROMPTS: list[Any] = [[{"role": "user", "content": "Which river is it?"}], "The river at"]

# Another way to the same figures: `generate`, and cross entropy as training computes it.
AGAIN = """
import json, sys, torch
from transformers import AutoModelForCausalLM, AutoTokenizer
base, file = sys.argv[1:]
model, tokenizer = AutoModelForCausalLM.from_pretrained(base), AutoTokenizer.from_pretrained(base)
for entry in json.load(open(file)):
    prompt = torch.tensor([entry["prompt_ids"]])
    if "messages" in entry:
        theirs = tokenizer.apply_chat_template(entry["messages"], add_generation_prompt=True)
        assert list(theirs["input_ids"]) == entry["prompt_ids"]
    made = model.generate(prompt, do_sample=False, max_new_tokens=16)[0]
    assert made.tolist() == entry["prompt_ids"] + entry["completion_ids"]
    logits = model(made[None]).logits[0, :-1]
    loss = torch.nn.functional.cross_entropy(logits, made[1:], reduction="none")
    assert torch.allclose(-loss, torch.tensor(entry["logprobs"]), atol=1e-4)
    print("same")
"""

# A tokenizer that puts a BOS before a text, beside a chat template that writes one itself.
WITH_BOS = """
import sys
from tokenizers.processors import TemplateProcessing
from transformers import AutoTokenizer
sys.path.insert(0, sys.argv[1])
from golden import prepare
tokenizer = AutoTokenizer.from_pretrained(sys.argv[2])
bos = tokenizer.eos_token
tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
    single=f"{bos} $A", special_tokens=[(bos, tokenizer.eos_token_id)])
tokenizer.chat_template = "{{ '%s' }}{{ messages[0]['content'] }}" % bos
entries = prepare(tokenizer, [[{"role": "user", "content": "a"}], "a"])
print("counts", [entry["prompt_ids"].count(tokenizer.eos_token_id) for entry in entries])
long = prepare(tokenizer, [[{"role": "user", "content": "na " * 3000}]], window=128)
print("longest", max(len(entry["prompt_ids"]) for entry in long))
"""


def test_golden_prompts_are_what_transformers_says(
    llamafactory: Environment, tiny_base: Path, tmp_path: Path
) -> None:
    file = tmp_path / "golden.json"
    asked = {"base": str(tiny_base), "adapter": None, "golden": PROMPTS, "dtype": "float32"}
    (tmp_path / "requests.json").write_text(json.dumps([{**asked, "golden_file": str(file)}]))
    run(llamafactory, [str(WORKER / "golden.py"), "requests.json"], tmp_path)
    said = run(llamafactory, ["-c", AGAIN, str(tiny_base), str(file)], tmp_path)
    assert said.count("same") == len(PROMPTS)


def test_prompts_get_one_bos_and_fit_a_small_server(
    llamafactory: Environment, tiny_base: Path, tmp_path: Path
) -> None:
    said = run(llamafactory, ["-c", WITH_BOS, str(WORKER), str(tiny_base)], tmp_path)
    assert "counts [1, 1]" in said
    longest = int(said.split("longest ")[1].split()[0])
    assert 0 < longest <= 112
