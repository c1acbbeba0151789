"""What a plan says that training needs of memory, disk and money, and what it proposes."""

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from llmops.cli.app import application
from llmops.data.tokens import ROWS, Lengths
from llmops.engines.contract import DataSet, ModelFiles
from llmops.engines.llamafactory.engine import LlamaFactory
from llmops.engines.llamafactory.machine import Machine
from llmops.engines.shape import shape_of
from llmops.errors import BadInput
from llmops.runner.stage import Context
from llmops.spec.settings import load_settings
from llmops.stages.resources import Training
from llmops.stages.room import room
from tests.fast.estimated import FULL, HALF, model, recipe
from tests.fast.models_on_disk import write_safetensors
from tests.fast.served_state import serve

app = application()

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


def test_what_is_not_known_is_not_guessed(planned: Path) -> None:
    config = json.loads((planned / "model" / "config.json").read_text())
    (planned / "model" / "config.json").write_text(
        json.dumps({**config, "vision_config": {"a": 1}})
    )
    code, said = plan("--gpu-memory", "0.2")
    assert code == 0
    assert "memory and disk: no estimate; the base is quantized, sees or hears" in said
    code, said = plan("--gpu-memory", "0.2", "--fit")
    assert "the size of the base is not known" in said


def test_a_card_of_some_size_is_one_gpu(planned: Path) -> None:
    argv = ["plan", "sft.yaml", "--gpu-memory", "1.5"]
    said = CliRunner().invoke(app, argv).output
    assert said.count("may not fit: 1.6 GB of GPU are there") == 1


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
    assert room(1, "refuse", card) == room(1, "sleep", card) == stopped


@pytest.mark.parametrize(
    ("visible", "devices", "free"), [(None, 1, 20), (None, 2, 7), ("1", 1, 7), ("GPU-b2", 1, 7)]
)
def test_of_several_cards_those_count_that_training_gets(
    planned: Path, monkeypatch: pytest.MonkeyPatch, visible: str | None, devices: int, free: int
) -> None:
    program = planned / "nvidia-smi"
    lines = ["A card, 24576, 20480, 1.0", "A screen, 8192, 7168, 1.0"]
    program.write_text("#!/bin/sh\nprintf '%s\\n' " + " ".join(f"'{one}'" for one in lines))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{planned}:{os.environ['PATH']}")
    if visible is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    found = room(2, "share", Context(load_settings()), devices)
    assert found is not None
    assert found.free == free * 2**30


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
        model("Llama 2 7B"),
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
    found = Training(spec, engine, None, files, model("Llama 2 7B"), (), (), card)
    assert "may not fit: 2.1 GB of GPU are free, 24.5 GB with `resources" in found.problem


def test_what_ran_out_of_memory_gets_a_smaller_batch_first(planned: Path) -> None:
    there = Context(load_settings())
    files, engine = ModelFiles(Path("model")), LlamaFactory(machine=Machine(1, ("0",)))
    spec = recipe({**HALF, "cutoff_len": 4096, "per_device_train_batch_size": 8})
    found = Training(spec, engine, None, files, model("Llama 2 7B"), (), (), there)
    halved = "args.per_device_train_batch_size=4 args.gradient_accumulation_steps=2"
    assert found.less() == halved
    unknown = Training(spec, engine, None, files, None, (), (), there)
    assert unknown.less() == ""


def test_what_is_proposed_can_be_copied(planned: Path) -> None:
    _, text = plan("--gpu-memory", "1.5", "--fit", "--json")
    (found,) = json.loads(text)
    assert found["command"].startswith("llmops run sft.yaml args.")
    assert "may not fit" not in plan("--gpu-memory", "1.5", *found["overrides"])[1]


def test_weights_that_are_shared_can_be_copied_too(planned: Path) -> None:
    asked = ("--gpus", "2", "--gpu-memory", "1.25", "resources.devices=2", "args.bf16=true")
    tight = ("args.per_device_train_batch_size=1", "args.cutoff_len=64")
    (found,) = json.loads(plan(*asked, *tight, "--fit", "--json")[1])
    assert found["overrides"][0].startswith('args.deepspeed={"train_batch_size": "auto"')
    code, said = plan(*asked, *tight, *found["overrides"])
    assert code == 0
    assert "may not fit" not in said


def test_nothing_is_proposed_that_a_plan_refuses(planned: Path) -> None:
    # GaLore is for full fine-tunes, and what it takes is not known.
    said = plan("--gpu-memory", "1.1", "--fit", "args.use_galore=true", "args.cutoff_len=64")[1]
    assert "no change that is known here fits" in said


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
    loaded = (planned / "data.jsonl").stat().st_size
    assert stage["estimate"]["disk_bytes"] == 2 * weights + 3 * 3 * weights + loaded


@pytest.mark.parametrize(
    ("args", "number"),
    [
        ("args.save_strategy=no", 0),
        ("args.save_strategy=no args.enable_jit_checkpoint=true", 1),
        ("args.save_steps=5 args.save_total_limit=null", 2),
        ("args.save_steps=0.25 args.save_total_limit=null", 4),
        ("args.save_strategy=epoch args.max_steps=-1 args.num_train_epochs=2", 2),
        ("args.save_strategy=epoch args.max_steps=-1 args.num_train_epochs=9", 3),
        ("args.save_total_limit=1", 2),
    ],
)
def test_as_many_checkpoints_count_as_there_are_at_once(
    planned: Path, args: str, number: int
) -> None:
    (stage,) = json.loads(plan("--json", *args.split())[1])["stages"]
    weights = shape_of(planned / "model").parameters * 4  # type: ignore[union-attr]
    data = (planned / "data.jsonl").stat().st_size
    assert stage["estimate"]["disk_bytes"] == 2 * weights + number * 3 * weights + data


def test_the_best_checkpoint_is_kept_beside_the_newest(planned: Path) -> None:
    best = "args.save_total_limit=1 args.load_best_model_at_end=true args.eval_strategy=steps"
    more = ["args.eval_steps=2", "args.save_strategy=steps", "data.validation=[path:data.jsonl]"]
    (stage,) = json.loads(plan("--json", *best.split(), *more)[1])["stages"]
    weights = shape_of(planned / "model").parameters * 4  # type: ignore[union-attr]
    assert stage["estimate"]["disk_bytes"] > 2 * weights + 3 * 3 * weights


def test_data_that_is_converted_lies_there_twice(planned: Path) -> None:
    file = planned / "data.csv"
    file.write_text("instruction,output\nAdd.,2\n")
    plain, converted = (
        json.loads(plan(f"data.train.0.path={name}", "--json")[1])["stages"][0]["estimate"]
        for name in ("data.jsonl", "data.csv")
    )
    more = 2 * file.stat().st_size - (planned / "data.jsonl").stat().st_size
    assert converted["disk_bytes"] - plain["disk_bytes"] == more


def test_a_time_that_is_not_known_is_not_passed_over(planned: Path) -> None:
    assert "MB disk, its time is not known before it ran once" in plan()[1]


def test_a_price_needs_a_time(planned: Path) -> None:
    cost = load_settings().cost
    assert cost.of(7200.0, 2) == "10.00 EUR"
    assert cost.of(None, 2) == ""


def test_a_price_is_no_key_of_another_name(planned: Path) -> None:
    (planned / "llmops.toml").write_text("[cost]\ndevice_hours = 1\n")
    with pytest.raises(BadInput, match="unknown key"):
        load_settings()
