"""What training needs of memory, disk, time and money; and what is proposed when it is too much."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from llmops.cli.app import app
from llmops.data.tokens import ROWS, Lengths
from llmops.engines.contract import DataSet, Memory, ModelFiles
from llmops.engines.llamafactory.engine import LlamaFactory
from llmops.engines.llamafactory.fit import changed, smaller
from llmops.engines.llamafactory.machine import Machine
from llmops.engines.llamafactory.memory import memory
from llmops.engines.shape import Shape, shape_of, shape_of_architecture
from llmops.errors import BadInput
from llmops.runner.stage import Context
from llmops.spec.load import Loaded, load_data
from llmops.spec.recipe import TrainRecipe
from llmops.spec.settings import load_settings
from llmops.stages.resources import Training, room
from tests.fast.models_on_disk import write_safetensors
from tests.fast.served_state import serve

LLAMA = {
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
}
FULL = {"finetuning_type": "full"}
HALF = {"bf16": True}
GB = 10**9


def llama() -> Shape:
    """Llama 2 7B."""
    shape = shape_of_architecture(LLAMA, 32_000, bytes_each=2)
    assert shape is not None
    return shape


def recipe(args: dict[str, Any], stage: str = "sft", devices: int = 1) -> Loaded[TrainRecipe]:
    data = {
        "kind": "train",
        "stage": stage,
        "base": "path:model",
        "data": {"train": ["path:data.jsonl"]},
        "args": args,
        "resources": {"devices": devices},
        "output": {"model": "town"},
    }
    return load_data(data, TrainRecipe, Path("recipe.yaml"))


def needed(
    args: dict[str, Any],
    stage: str = "sft",
    *,
    devices: int = 1,
    longest: int | None = 256,
    gpu: bool = True,
) -> Memory:
    given = {"per_device_train_batch_size": 1, **args}
    files = ModelFiles(Path("model"))
    return memory(recipe(given, stage, devices), files, llama(), longest, gpu=gpu)


def test_a_llama_has_the_parameters_that_it_has() -> None:
    assert llama().parameters == pytest.approx(6.738e9, rel=1e-3)


@pytest.mark.parametrize(
    ("args", "published"),
    [
        ({**FULL, **HALF}, 120),
        ({**FULL, "pure_bf16": True}, 60),
        ({**HALF}, 16),
        ({**HALF, "quantization_bit": 8}, 10),
        ({**HALF, "quantization_bit": 4}, 6),
    ],
)
def test_a_7b_takes_what_the_engine_says_of_it(args: dict[str, Any], published: int) -> None:
    """LLaMA-Factory's README, "Hardware Requirement"; it counts nothing of the batch."""
    assert needed(args).peak / GB == pytest.approx(published, rel=0.15)


def test_a_pair_needs_a_second_model_unless_an_adapter_can_be_switched_off() -> None:
    whole, adapter = needed({**FULL, **HALF}, "dpo"), needed(HALF, "dpo")
    assert whole.parts["reference model"] == 2 * llama().parameters
    assert "reference model" not in adapter.parts
    assert "reference model" not in needed({**FULL, "pref_loss": "orpo"}, "dpo").parts


def test_gradients_take_turns_with_activations_unless_they_add_up() -> None:
    once = needed(FULL)
    twice = needed({**FULL, "gradient_accumulation_steps": 2})
    assert once.parts == twice.parts
    less = once.parts["activations"] + once.parts["logits"]
    assert twice.peak - once.peak == less


def test_checkpointing_is_on_unless_it_is_disabled() -> None:
    kept = needed({**HALF, "disable_gradient_checkpointing": True})
    assert needed(HALF).parts["activations"] < 0.1 * kept.parts["activations"]


@pytest.mark.parametrize(
    ("stage", "sharded"),
    [
        (1, {"optimizer"}),
        (2, {"optimizer", "gradients"}),
        (3, {"optimizer", "gradients", "weights"}),
    ],
)
def test_zero_shards_in_stages(stage: int, sharded: set[str]) -> None:
    zero = {**FULL, **HALF, "deepspeed": {"zero_optimization": {"stage": stage}}}
    one, four = needed(zero).parts, needed(zero, devices=4).parts
    assert {name for name in one if four[name] == one[name] // 4} == sharded


@pytest.mark.parametrize(
    ("optimizer", "each"), [("adamw_torch", 8), ("adamw_8bit", 2), ("adafactor", 0), ("sgd", 0)]
)
def test_optimizers_keep_what_they_keep(optimizer: str, each: int) -> None:
    found = needed({**FULL, "optim": optimizer})
    assert found.parts.get("optimizer", 0) == each * llama().parameters
    assert not found.unknown
    half = needed({**FULL, "optim": optimizer, "pure_bf16": True}).parts.get("optimizer", 0)
    assert half == min(each, 4 if each == 8 else 2) * llama().parameters


def test_what_is_not_known_is_said() -> None:
    found = needed({**FULL, "use_galore": True, "optim": "ademamix"})
    assert found.unknown == ("GaLore's projections", "the states of optimizer ademamix")


def test_a_fused_loss_has_no_logits_to_speak_of_but_for_pairs() -> None:
    fused = {**HALF, "enable_liger_kernel": True}
    assert needed(fused).parts["logits"] < 0.15 * needed(HALF).parts["logits"]
    assert needed(fused, "dpo").parts["logits"] == needed(HALF, "dpo").parts["logits"]
    assert needed(fused, gpu=False).parts["logits"] == needed(HALF, gpu=False).parts["logits"]


def test_short_samples_take_less_than_the_cutoff_unless_they_are_packed() -> None:
    short, unknown = needed(HALF, longest=100), needed(HALF, longest=None)
    assert short.parts["logits"] * 2048 == unknown.parts["logits"] * 104
    assert needed({**HALF, "packing": True}, longest=100).parts == unknown.parts


def proposed(args: dict[str, Any], room: float, *, gpus: int = 1) -> dict[str, Any] | None:
    """room: GB."""

    def fits(one: Loaded[TrainRecipe]) -> bool:
        files = ModelFiles(Path("model"))
        return memory(one, files, llama(), None, gpu=bool(gpus)).peak <= room * GB

    found = smaller(recipe(args), gpus, fits)
    assert found is None or fits(changed(recipe(args), found))
    return found


def test_the_batch_comes_first_and_an_update_has_as_many_samples() -> None:
    found = proposed({**HALF, "gradient_accumulation_steps": 2}, 22)
    assert found is not None
    batch = found.pop("args.per_device_train_batch_size")
    assert 1 < batch < 8
    assert found == {"args.gradient_accumulation_steps": 16 // batch}


def test_layers_are_computed_again_before_samples_are_cut() -> None:
    args = {**HALF, "disable_gradient_checkpointing": True, "per_device_train_batch_size": 1}
    assert proposed(args, 20) == {"args.disable_gradient_checkpointing": False}


def test_what_a_later_change_makes_needless_is_taken_back() -> None:
    found = proposed({**FULL, **HALF, "per_device_train_batch_size": 1}, 20)
    assert found == {"args.finetuning_type": "lora"}


def test_a_small_card_gets_a_quantized_base() -> None:
    found = proposed({**HALF, "per_device_train_batch_size": 1}, 10)
    assert found is not None
    assert found["args.quantization_bit"] == 4
    assert "args.cutoff_len" not in found


def test_more_cards_share_what_none_of_them_holds() -> None:
    found = proposed({**HALF, "per_device_train_batch_size": 1}, 4.7, gpus=8)
    assert found is not None
    assert found["resources.devices"] == 8
    assert "args.quantization_bit" not in found  # it is unset as it was
    assert found["args.deepspeed"]["zero_optimization"] == {"stage": 3}


def test_what_nothing_helps_is_not_proposed() -> None:
    assert proposed(HALF, 2) is None


ROW = {"messages": [{"role": "user", "content": "?"}, {"role": "assistant", "content": "!"}]}


@pytest.fixture
def planned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a base of 17 million parameters, whose weights are zeros."""
    config = {"hidden_size": 512, "intermediate_size": 1024, "num_hidden_layers": 8}
    config |= {"num_attention_heads": 8, "vocab_size": 65_536, "tie_word_embeddings": True}
    base = tmp_path / "model"
    base.mkdir()
    (base / "config.json").write_text(json.dumps(config))
    (base / "tokenizer.json").write_text("{}")
    write_safetensors(base / "model.safetensors", {"model.embed_tokens.weight": [65_536, 256]})
    (tmp_path / "llmops.toml").write_text('[cost]\ndevice_hour = 2.5\ncurrency = "EUR"\n')
    (tmp_path / "data.jsonl").write_text(json.dumps(ROW) + "\n")
    data = recipe({**FULL, "max_steps": 10, "save_steps": 2, "save_total_limit": 2}).source.data
    (tmp_path / "sft.yaml").write_text(json.dumps(data))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def plan(*args: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["plan", "sft.yaml", "--gpus", "1", *args])
    return done.exit_code, done.output + (str(done.exception) if done.exception else "")


def test_a_plan_names_the_parts_and_warns(planned: Path) -> None:
    code, said = plan("--gpu-memory", "1.5")
    assert code == 0
    assert "memory: logits 12.9 GB" in said
    assert "may not fit: 1.6 GB of GPU are there" in said
    assert "may not fit" not in plan("--gpu-memory", "24")[1]


def test_what_certainly_does_not_fit_is_refused(planned: Path) -> None:
    code, said = plan("--gpu-memory", "0.2")
    assert code != 0
    assert "does not fit: its weights and what belongs to them take" in said


def test_a_plan_for_gpus_of_no_known_size_judges_nothing(planned: Path) -> None:
    assert "fit" not in plan()[1]


@pytest.fixture
def card(planned: Path, monkeypatch: pytest.MonkeyPatch) -> Context:
    """A machine whose nvidia-smi reports 24 GiB, of which a server has left 2."""
    program = planned / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 'A card, 24576, 2048, 1.0'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{planned}:{os.environ['PATH']}")
    return Context(load_settings())


def test_what_a_server_holds_is_not_there_unless_it_lets_go(planned: Path, card: Context) -> None:
    shared = room(1, "stop", card)
    assert shared is not None
    assert shared.free == 2 * 2**30
    serve(planned)
    stopped = room(1, "stop", card)
    assert stopped is not None
    assert stopped.free > 0.9 * stopped.total == 0.9 * 24 * 2**30
    assert room(1, "share", card) == shared


@pytest.mark.parametrize(("rows", "tokens"), [(100, 104), (3000, 2048)])
def test_the_longest_sample_is_known_when_all_were_counted(
    planned: Path, rows: int, tokens: int
) -> None:
    data = DataSet(planned / "data.jsonl", "messages", {}, rows, "0")
    files, counted = ModelFiles(Path("model")), Lengths(min(rows, ROWS), 10_000, 100, 0)
    found = Training(
        recipe({}),
        LlamaFactory(),
        None,
        files,
        llama(),
        [data],
        [counted],
        Context(load_settings()),
    )
    assert found.memory is not None
    assert found.memory.parts["logits"] == 8 * tokens * 32_000 * 12


def test_a_warning_says_what_a_stop_would_give(planned: Path, card: Context) -> None:
    serve(planned)
    files, spec = ModelFiles(Path("model")), recipe({**HALF, "cutoff_len": 128})
    engine = LlamaFactory(machine=Machine(1, ("0",)))
    found = Training(spec, engine, None, files, llama(), (), (), card)
    assert "may not fit: 2.1 GB of GPU are free, 24.5 GB with `resources" in found.problem


def test_what_ran_out_of_memory_gets_a_smaller_batch_first(planned: Path) -> None:
    there = Context(load_settings())
    files, engine = ModelFiles(Path("model")), LlamaFactory(machine=Machine(1, ("0",)))
    spec = recipe({**HALF, "cutoff_len": 4096, "per_device_train_batch_size": 8})
    found = Training(spec, engine, None, files, llama(), (), (), there)
    halved = "args.per_device_train_batch_size=4 args.gradient_accumulation_steps=2"
    assert found.less() == halved
    unknown = Training(spec, engine, None, files, None, (), (), there)
    assert unknown.less() == ""


def test_what_is_proposed_can_be_copied(planned: Path) -> None:
    _, text = plan("--gpu-memory", "1.5", "--fit", "--json")
    (found,) = json.loads(text)
    assert found["command"].startswith("llmops run sft.yaml args.")
    assert "may not fit" not in plan("--gpu-memory", "1.5", *found["overrides"])[1]


def test_a_proposal_keeps_what_was_given(planned: Path) -> None:
    _, said = plan("--gpu-memory", "1.5", "--fit", "args.seed=7")
    assert "llmops run sft.yaml args.seed=7 args." in said


def test_in_a_pipeline_the_change_is_of_its_stage(planned: Path) -> None:
    text = "name: town\nstages:\n  teach: {recipe: sft.yaml}\n"
    (planned / "town.yaml").write_text(text)
    argv = ["plan", "town.yaml", "--gpus", "1", "--gpu-memory", "1.5", "--fit"]
    found = CliRunner().invoke(app, argv).output.splitlines()
    assert found[0] == "teach: fits with, in the pipeline,"
    changed = text.replace("sft.yaml}", f"sft.yaml, {found[1].strip()}}}")
    (planned / "town.yaml").write_text(changed)
    assert CliRunner().invoke(app, argv).output == "teach: fits as it is\n"


def test_checkpoints_count_with_the_states_of_the_optimizer(planned: Path) -> None:
    (stage,) = json.loads(plan("--json")[1])["stages"]
    weights = shape_of(planned / "model").parameters * 4  # type: ignore[union-attr]
    assert stage["estimate"]["disk_bytes"] == 2 * weights + 3 * 3 * weights


def test_a_price_needs_a_time(planned: Path) -> None:
    cost = load_settings().cost
    assert cost.of(7200.0, 2) == "10.00 EUR"
    assert cost.of(None, 2) == ""


def test_a_price_is_no_key_of_another_name(planned: Path) -> None:
    (planned / "llmops.toml").write_text("[cost]\ndevice_hours = 1\n")
    with pytest.raises(BadInput, match="unknown key"):
        load_settings()
