"""`llmops data show` where there is nothing to show; what it shows is tested on the engine."""

import json
from pathlib import Path

import pytest

from tests.conftest import Llmops

TRAIN = """\
kind: train
stage: sft
base: "{base}"
data: {{train: [{{path: data.jsonl}}]}}
output: {{model: town}}
"""
PIPELINE = """\
name: town
stages:
  one: {recipe: one.yaml}
  two: {recipe: one.yaml, base: "stage:one"}
  named: {promote: "stage:two", to: anchor}
"""


@pytest.fixture
def recipes(project: Path) -> Path:
    (project / "data.jsonl").write_text(json.dumps({"instruction": "a", "output": "b"}))
    (project / "base.yaml").write_text(
        "kind: base\narchitecture: {model_type: qwen2, hidden_size: 8, num_hidden_layers: 1,\n"
        "  num_attention_heads: 1, intermediate_size: 8}\n"
        "tokenizer: {vocab_size: 300, texts: [{path: data.jsonl}]}\noutput: {model: tiny}\n"
    )
    (project / "one.yaml").write_text(TRAIN.format(base="recipe:base.yaml"))
    (project / "town.yaml").write_text(PIPELINE)
    return project


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (("one.yaml",), "has yet to be made by stage base"),
        (("town.yaml",), "say which: --stage one | two"),
        (("town.yaml", "--stage", "tow"), "did you mean `two`?"),
        (("base.yaml",), "it trains nothing"),
    ],
)
def test_what_cannot_be_shown_is_told(
    recipes: Path, llmops: Llmops, asked: tuple[str, ...], told: str
) -> None:
    done = llmops("data", "show", *asked)
    assert done.returncode == 2
    assert told in done.stderr
