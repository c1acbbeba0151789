"""The launcher with the real engine: an adapter, a second one on top, and what is registered."""

import json
from pathlib import Path

import pytest

from llmops.engines.contract import Environment
from llmops.registry.manifest import Golden
from tests.engine.worker_run import DPO, SFT, WORKER, Attempt, run

pytestmark = pytest.mark.engine

# The largest difference of logits from those of the base with both adapters merged into it, for
# the concatenated adapter and for the second alone.
COMPARE = """
import sys, torch
from peft import PeftModel
from transformers import AutoModelForCausalLM
base, first, second, both = sys.argv[1:]
# In double precision, so that what differs is the adapters and not the order of additions.
load = lambda: AutoModelForCausalLM.from_pretrained(base, dtype=torch.float64)
on = lambda model, adapter: PeftModel.from_pretrained(model, adapter).double().eval()
ids = torch.arange(8, 40)[None]
with torch.inference_mode():
    merged = on(on(load(), first).merge_and_unload(), second)(ids).logits
    for adapter in (both, second):
        print("difference", float((on(load(), adapter)(ids).logits - merged).abs().max()))
"""


@pytest.fixture(scope="module")
def first(llamafactory: Environment, tiny_base: Path, tmp_path_factory: pytest.TempPathFactory):
    """An adapter on the base, by SFT."""
    attempt = Attempt(tmp_path_factory.mktemp("first"), tiny_base)
    run(llamafactory, [str(WORKER / "launcher.py"), *attempt.write(SFT)], attempt.root)
    return attempt


@pytest.fixture(scope="module")
def second(llamafactory: Environment, first: Attempt, tmp_path_factory: pytest.TempPathFactory):
    """A second adapter on base and first, by DPO, concatenated with the first."""
    attempt = Attempt(tmp_path_factory.mktemp("second"), first.base)
    options = {**DPO, "adapter_name_or_path": str(first.result)}
    argv = attempt.write(options, {"adapter": str(first.result), "concatenate": True})
    run(llamafactory, [str(WORKER / "launcher.py"), *argv], attempt.root)
    return attempt


def test_only_the_adapter_is_registered(first: Attempt) -> None:
    names = {path.name for path in first.result.iterdir()}
    assert names == {"adapter_config.json", "adapter_model.safetensors"}


def test_the_phases_are_told_in_order(first: Attempt) -> None:
    assert first.phases() == ["starting", "training", "saving", "checking", "done"]


def test_golden_prompts_are_those_that_the_registry_knows(first: Attempt) -> None:
    chat, text = [Golden.model_validate(entry) for entry in first.golden()]
    assert chat.messages
    assert text.text == "The number"
    for golden in (chat, text):
        assert 1 <= len(golden.completion_ids) <= 16
        assert len(golden.logprobs) == len(golden.prompt_ids + golden.completion_ids) - 1
        assert max(golden.logprobs) <= 0


def test_golden_prompts_tell_an_adapter_from_its_base(first: Attempt) -> None:
    for entry in first.golden():
        pairs = zip(entry["logprobs"], entry["base_logprobs"], strict=True)
        assert max(abs(a - b) for a, b in pairs) > 0.1


def test_the_first_loss_of_dpo_is_that_of_a_right_reference(second: Attempt) -> None:
    assert second.losses()[0] == pytest.approx(0.6931, abs=1e-4)
    assert second.losses()[-1] < 0.69


def test_the_concatenated_adapter_has_the_sum_of_the_ranks(second: Attempt) -> None:
    config = json.loads((second.result / "adapter_config.json").read_text())
    assert (config["r"], config["lora_alpha"]) == (6, 6)
    assert config["base_model_name_or_path"] == str(second.base)


def test_base_and_concatenated_adapter_equal_the_merged_model(
    llamafactory: Environment, first: Attempt, second: Attempt
) -> None:
    places = [str(p) for p in (first.base, first.result, second.output, second.result)]
    said = run(llamafactory, ["-c", COMPARE, *places], second.root)
    right, wrong = [float(line.split()[1]) for line in said.splitlines() if "difference" in line]
    print(f"merged against concatenated: {right:.1e}; second adapter alone: {wrong:.2f}")
    assert right < 1e-5
    assert wrong > 100 * right
    assert wrong > 0.01


def test_a_full_model_is_registered_without_what_only_the_engine_needs(
    llamafactory: Environment, tiny_base: Path, tmp_path: Path
) -> None:
    attempt = Attempt(tmp_path, tiny_base)
    options = {**SFT, "finetuning_type": "full", "learning_rate": 0.001, "max_steps": 2}
    run(llamafactory, [str(WORKER / "launcher.py"), *attempt.write(options)], tmp_path)
    names = {path.name for path in attempt.result.iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json", "chat_template.jinja"} <= names
    assert not names & {"training_args.bin", "trainer_state.json", "README.md"}
    assert "base_logprobs" not in attempt.golden()[0]


def test_a_mistake_of_the_engine_is_a_failure(
    llamafactory: Environment, tiny_base: Path, tmp_path: Path
) -> None:
    argv = Attempt(tmp_path, tiny_base).write({**SFT, "stage": "foo"})
    said = run(llamafactory, [str(WORKER / "launcher.py"), *argv], tmp_path, expect=1)
    assert said.splitlines()[-1] == "ValueError: Unknown task: foo."
