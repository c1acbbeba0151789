"""Compiled jobs: pinned by golden files, and read back by a YAML 1.1 parser as they were meant.

A change that is meant: LLMOPS_REGENERATE=1 pytest tests/fast/test_compile.py, then read the diff.
"""

import json
import os
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from llmops.data.convert import converted_lines, write_converted
from llmops.data.inspect import inspect_data
from llmops.engines.contract import BaseJob, Command, Environment, ModelFiles
from llmops.engines.llamafactory.compile import compile_base, compile_train
from llmops.engines.llamafactory.config import render_config
from llmops.engines.llamafactory.datasets import data_files, info_text
from llmops.engines.llamafactory.machine import Machine, this_machine
from llmops.errors import BadInput
from llmops.spec.load import load_recipe
from llmops.spec.recipe import DataFile
from llmops.store.run_paths import AttemptPaths
from tests.training_jobs import (
    GOOD,
    LAYOUT_ROWS,
    USER,
    bare_environment,
    train_job,
    train_recipe,
    write_rows,
)

GOLDEN = Path(__file__).parent / "golden"
PACKAGE = Path(__file__).parents[2] / "llmops"
CPU = Machine(2)

# name: layout, args, the rest of the recipe, whether the base is an adapter version
CASES: dict[str, tuple[str, dict[str, Any], dict[str, Any], bool]] = {
    "cpt": ("text", {"max_steps": 150, "finetuning_type": "full"}, {}, False),
    "sft-full": (
        "messages",
        {"finetuning_type": "full", "learning_rate": 1e-5, "eval_strategy": "steps"},
        {"validation": 0.1},
        False,
    ),
    "dpo-lora": ("preference-sharegpt", {"lora_target": ["q_proj", "v_proj"]}, {}, False),
    "dpo-lora-on-adapter": ("preference", {"lora_rank": 8, "pref_beta": 0.1}, {}, True),
    "kto": ("kto-messages", {"eval_strategy": "no"}, {"template": "qwen"}, False),
    "sft-converted": ("alpaca-numbers", {}, {}, False),
    "sft-two-processes": ("sharegpt", {}, {"resources": {"devices": 2}}, False),
}


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    return bare_environment(tmp_path)


def compiled(
    folder: Path,
    environment: Environment,
    name: str,
    args: dict[str, Any] | None = None,
    *,
    on_adapter: bool = False,
    machine: Machine = CPU,
    **more: Any,
) -> Command:
    stage, file, rows = LAYOUT_ROWS[name]
    data = write_rows(folder / file, rows)
    recipe = train_recipe(folder, stage, args, data=data, **more)
    base = ModelFiles(folder / "base", folder / "adapter" if on_adapter else None)
    job = train_job(recipe, base, folder / "attempt")
    return compile_train(job, environment, machine)


def config(command: Command) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(command.files["config.yaml"])
    return found


def written_out(command: Command, folder: Path) -> str:
    """All of a command as one text, without what differs between machines."""
    parts = ["# argv", shlex.join(command.argv), "# env"]
    parts += [f"{key}={value}" for key, value in sorted(command.env.items())]
    for name, text in command.files.items():
        parts += [f"# {name}", text.rstrip("\n")]
    for name, data in command.copies.items():
        parts += [f"# {name}", *converted_lines(data)]
    text = "\n".join(parts) + "\n"
    return text.replace(str(folder), "<folder>").replace(str(PACKAGE), "<llmops>")


@pytest.mark.parametrize("name", CASES)
def test_compiled_as_pinned(
    name: str, tmp_path: Path, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout, args, more, on_adapter = CASES[name]
    command = compiled(tmp_path, environment, layout, args, on_adapter=on_adapter, **more)
    if "--master_port" in command.argv:
        command.argv[command.argv.index("--master_port") + 1] = "<port>"
    found = written_out(command, tmp_path)
    file = GOLDEN / f"{name}.txt"
    if os.environ.get("LLMOPS_REGENERATE"):
        file.write_text(found, encoding="utf-8")
    assert found == file.read_text(encoding="utf-8"), (
        "if the change is meant: LLMOPS_REGENERATE=1 pytest tests/fast/test_compile.py"
    )


@pytest.mark.parametrize(
    "value",
    [
        *("no", "1e-3", "1:30", "null", "~", "010", "a: b # c", "", "=", "<<", " x\n y "),
        *("é\u2028\x7f😀", 1e-5, 1e20, 5e-324, 0.1, 1.0, -0.0, 10**30, 0, True, None),
        *([], {}, ["no", 1e-5], {"no": {"yes": "on", "a b": [None]}}),
    ],
)
def test_values_survive_yaml_1_1(value: Any) -> None:
    text = render_config({"key": value, "after": 1})
    read = yaml.safe_load(text)
    assert read == {"key": value, "after": 1}
    assert type(read["key"]) is type(value)
    assert text.count("\n") == 2


def test_golden_prompts_reach_the_worker(tmp_path: Path, environment: Environment) -> None:
    finish = json.loads(compiled(tmp_path, environment, "messages").files["finish.json"])
    assert finish["golden"][0][-1] == USER


def test_validation_files(tmp_path: Path, environment: Environment) -> None:
    other = write_rows(tmp_path / "other.jsonl", {"messages": [USER, GOOD]})
    command = compiled(
        tmp_path, environment, "messages", validation=[{"path": str(other), "limit": 3}]
    )
    found = config(command)
    entry = json.loads(command.files["dataset_info.json"])["validation-0"]
    assert (found["eval_dataset"], found["do_eval"]) == ("validation-0", True)
    assert "val_size" not in found
    assert (entry["file_name"], entry["num_samples"]) == (str(other), 3)


def test_converted_copy_has_the_layout_s_columns(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "a.csv", "ask,answer\n1 + 1 =,2\n")
    names = {"instruction": "ask", "output": "answer"}
    data = inspect_data(DataFile(path=str(path), columns=names), path)
    found = data_files([data], "train", tmp_path)
    assert found.entries["train-0"]["columns"]["prompt"] == "instruction"
    assert found.entries["train-0"]["file_name"] == str(tmp_path / "data/train-0.jsonl")
    (copied,) = found.copies.items()
    assert copied == ("data/train-0.jsonl", data)
    write_converted(data, tmp_path / "copy")
    assert (tmp_path / "copy").read_text() == '{"instruction": "1 + 1 =", "output": "2"}\n'


def test_recipe_wins_over_defaults(tmp_path: Path, environment: Environment) -> None:
    found = config(compiled(tmp_path, environment, "messages", {"logging_steps": 50}))
    assert found["logging_steps"] == 50


@pytest.mark.parametrize(("steps", "every"), [(-1, 5), (2, 1), (120, 2), (1000, 5)])
def test_short_runs_log_more_often(
    steps: int, every: int, tmp_path: Path, environment: Environment
) -> None:
    found = config(compiled(tmp_path, environment, "messages", {"max_steps": steps}))
    assert found["logging_steps"] == every


@pytest.mark.parametrize(("packed", "counted"), [(True, "all"), (False, "non_padding")])
def test_tokens_are_counted_where_the_mask_is_one_of_ones(
    packed: bool, counted: str, tmp_path: Path, environment: Environment
) -> None:
    found = config(compiled(tmp_path, environment, "messages", {"neat_packing": packed}))
    assert found["include_num_input_tokens_seen"] == counted


def test_checkpoints_where_the_recipe_asks(tmp_path: Path, environment: Environment) -> None:
    found = config(compiled(tmp_path, environment, "messages", {"save_steps": 10}))
    assert "save_strategy" not in found


def test_without_tensorboard_nothing_is_reported(tmp_path: Path, environment: Environment) -> None:
    (environment.site / "tensorboard").rmdir()
    assert config(compiled(tmp_path, environment, "messages"))["report_to"] == "none"


def test_accelerators_are_those_asked_for(tmp_path: Path, environment: Environment) -> None:
    machine = Machine(8, ("2", "3", "5"))
    more = {"resources": {"devices": 2}}
    command = compiled(tmp_path, environment, "messages", machine=machine, **more)
    assert (command.env["CUDA_VISIBLE_DEVICES"], command.env["OMP_NUM_THREADS"]) == ("2,3", "4")
    assert "use_cpu" not in config(command)


@pytest.mark.parametrize(
    "args", [{"deepspeed": {"zero_optimization": {"stage": 2}}}, {"fsdp": "x"}]
)
def test_process_group_of_one(
    args: dict[str, Any], tmp_path: Path, environment: Environment
) -> None:
    argv = compiled(tmp_path, environment, "messages", args, machine=Machine(8, ("0",))).argv
    assert argv[1:5] == ["-m", "torch.distributed.run", "--nproc_per_node", "1"]


def test_optimizer_that_galore_knows(tmp_path: Path, environment: Environment) -> None:
    args = {"finetuning_type": "full", "use_galore": True}
    assert config(compiled(tmp_path, environment, "messages", args))["optim"] == "adamw_torch"


@pytest.mark.parametrize(("held", "dtype"), [("bfloat16", "bfloat16"), ("float32", "float32")])
def test_golden_type_is_the_base_s(
    held: str, dtype: str, tmp_path: Path, environment: Environment
) -> None:
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "config.json").write_text(json.dumps({"dtype": held}))
    finish = json.loads(compiled(tmp_path, environment, "messages").files["finish.json"])
    assert finish["dtype"] == dtype


def test_small_base_keeps_its_activations(tmp_path: Path, environment: Environment) -> None:
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "model.safetensors").write_bytes(b"x" * 100)
    found = config(compiled(tmp_path, environment, "messages"))
    assert found["disable_gradient_checkpointing"] is True


def test_base_without_a_chat_template(tmp_path: Path, environment: Environment) -> None:
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "tokenizer_config.json").write_text("{}")
    with pytest.raises(BadInput, match="has no chat template") as caught:
        compiled(tmp_path, environment, "messages")
    assert caught.value.where.endswith("sft.yaml:3: base")


def test_config_files_are_found_beside_the_recipe(tmp_path: Path, environment: Environment) -> None:
    (tmp_path / "ds.json").write_text("{}")
    found = config(compiled(tmp_path, environment, "messages", {"deepspeed": "ds.json"}))
    assert found["deepspeed"] == str(tmp_path / "ds.json")


def test_compiling_writes_nothing(tmp_path: Path, environment: Environment) -> None:
    compiled(tmp_path, environment, "alpaca-numbers")
    assert not (tmp_path / "attempt").exists()


def test_base_from_scratch(tmp_path: Path, environment: Environment) -> None:
    recipe = tmp_path / "base.yaml"
    recipe.write_text(
        "kind: base\narchitecture: {model_type: qwen2}\n"
        "tokenizer: {vocab_size: 512, texts: ['path:a.csv']}\noutput: {model: town}\n"
    )
    data = write_rows(tmp_path / "a.csv", "text,b\nOne.,1\n")
    loaded = load_recipe(recipe)
    texts = [inspect_data(loaded.spec.tokenizer.texts[0], data)]
    job = BaseJob(loaded, texts, AttemptPaths(tmp_path / "attempt"), ["One"])
    command = compile_base(job, environment, CPU)

    base = json.loads(command.files["base.json"])
    converted = tmp_path / "attempt/data/texts-0.jsonl"
    assert base["texts"] == [
        {"path": str(converted), "layout": "text", "columns": {"text": "text"}}
    ]
    assert dict(command.copies) == {"data/texts-0.jsonl": texts[0]}
    assert (base["vocab_size"], base["eos_token"], base["golden"]) == (512, "<|im_end|>", ["One"])


def test_cpu_build_of_torch_sees_no_accelerator(tmp_path: Path) -> None:
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch/version.py").write_text("cuda: Optional[str] = None\nhip = None\n")
    assert this_machine(tmp_path).cpu_only


def test_a_description_of_data_is_ascii_whatever_the_names_of_files() -> None:
    """The engine opens it in the locale's encoding."""
    for name in ("a.jsonl", "größe 😀.jsonl"):
        text = info_text({"train-0": {"file_name": name, "columns": {"prompt": None}}})
        assert text == json.dumps(json.loads(text), indent=2) + "\n"
        assert json.loads(text)["train-0"]["file_name"] == name
