"""Training configs of LLaMA-Factory as recipes: options, comments, data sets, refusals."""

import json
from pathlib import Path
from typing import Any

import pytest

from llmops.data.inspect import inspect_data
from llmops.engines.contract import Environment
from llmops.engines.llamafactory.importing.config import read_config
from llmops.engines.llamafactory.importing.recipe import Imported, import_config
from llmops.engines.llamafactory.signatures import GROUPS, SOURCES
from llmops.errors import BadInput
from llmops.spec.load import load_text
from llmops.spec.recipe import TrainRecipe
from tests.conftest import Llmops

CONFIG = """\
### the model, from the Hub
model_name_or_path: Acme/Tiny-1B  # any will do
trust_remote_code: true

### what to do
stage: sft
do_train: true
finetuning_type: lora
lora_target: [q_proj, v_proj]

### data
dataset: facts, more
template: qwen
cutoff_len: 2048

### where to
output_dir: saves/tiny
logging_steps: 10
report_to: none  # or wandb

# not too fast
learning_rate: 1e-4
warmup_ratio: 0.1  # of all steps
bf16: true

### later
# eval_steps: 500
"""
OPTIONS = {
    "bool": ("trust_remote_code", "bf16", "create_new_adapter"),
    "int": ("cutoff_len", "logging_steps"),
    "float": ("learning_rate", "warmup_steps", "val_size"),
    "str": ("finetuning_type", "lora_target", "deepspeed", "report_to"),
}


@pytest.fixture
def engine(tmp_path: Path) -> Environment:
    """An installed engine's source, with the options above and no others."""
    said = 'metadata={"help": "Use commas to separate multiple modules."}'
    fields = [f"    {name}: {kind} = field({said})" for kind in OPTIONS for name in OPTIONS[kind]]
    held = {place for places in GROUPS.values() for place in places}
    for file in SOURCES:
        classes = [name for place, name in held if place == file]
        body = [f"class {name}:\n" + "\n".join(fields) for name in classes]
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text("\n".join([*body, 'register_template("qwen")']))
    return Environment("llamafactory", "0.9.5", tmp_path / "python", tmp_path)


def imported(folder: Path, text: str, environment: Environment | None = None) -> Imported:
    file = folder / "config.yaml"
    file.write_text(text, encoding="utf-8")
    return import_config(file, target=folder / "recipe.yaml", environment=environment)


def recipe(folder: Path, text: str) -> TrainRecipe:
    made: TrainRecipe = load_text(
        "recipe", imported(folder, text).text, folder / "recipe.yaml"
    ).spec
    return made


def with_data(folder: Path, name: str, entry: dict[str, Any], rows: Any) -> str:
    (folder / "data").mkdir(exist_ok=True)
    (folder / "data" / f"{name}.json").write_text(json.dumps(rows))
    info = {name: {"file_name": f"{name}.json", **entry}}
    (folder / "data" / "dataset_info.json").write_text(json.dumps(info))
    return name


def test_the_options_are_the_same(project: Path, engine: Environment) -> None:
    made = imported(project, CONFIG, engine)
    spec = load_text("recipe", made.text, project / "recipe.yaml").spec
    assert (spec.stage, spec.base, spec.template) == ("sft", "hub:Acme/Tiny-1B", "qwen")
    assert spec.args == {
        "trust_remote_code": True,
        "finetuning_type": "lora",
        "lora_target": ["q_proj", "v_proj"],
        "cutoff_len": 2048,
        "logging_steps": 10,
        "learning_rate": 1e-4,
        "warmup_steps": 0.1,
        "bf16": True,
    }
    assert "save_strategy: no" in made.added


def test_every_comment_is_kept_in_the_order_of_the_recipe(project: Path) -> None:
    text = imported(project, CONFIG).text
    remarks = [line.partition("#")[2] for line in text.splitlines() if "#" in line][1:]
    assert remarks == [
        "## what to do",
        "## the model, from the Hub",
        " any will do",
        "## data",
        "## where to",
        " report_to: none  # or wandb",
        " not too fast",
        " of all steps",
        "## later",
        " eval_steps: 500",
    ]


PLAIN = "stage: sft\nmodel_name_or_path: a/b\ndo_train: true\ndataset: facts\n"


@pytest.mark.parametrize(
    ("text", "args"),
    [
        (f"---  # a document\n{PLAIN}lora_rank: 8\n...\n", {"lora_rank": 8}),
        (f"%YAML 1.1\n---\n{PLAIN}", {}),
        (f"\ufeff{PLAIN}lora_rank: 8\n", {"lora_rank": 8}),
        (f"{PLAIN}# c\nlora_rank: 8  # eight\n".replace("\n", "\r\n"), {"lora_rank": 8}),
        (f"{PLAIN}lora_rank:\t8\t# after a tab\n", {"lora_rank": 8}),
        (
            f"{PLAIN}logging_steps: &n 5  # n\nsave_steps: *n\n",
            {"logging_steps": 5, "save_steps": 5},
        ),
        (f"{PLAIN}output_dir: &n x\ntokenizer: *n\n", {"tokenizer": "x"}),
        (f"<<: {{lora_rank: 4, seed: 3}}\n{PLAIN}seed: 1\n", {"seed": 1, "lora_rank": 4}),
        (f"{PLAIN}bf16: yes\n", {"bf16": True}),
        (f"{PLAIN}max_samples: 010\nseed: 1_000\n", {"max_samples": 8, "seed": 1000}),
        (f"{PLAIN}eval_strategy: no\n", {"eval_strategy": "no"}),
        (f"{PLAIN}default_system: 'for $5 ${{x}}'\n", {"default_system": "for $5 ${x}"}),
        (f"{PLAIN}warmup_ratio: 0.1\nwarmup_steps: 0\n", {"warmup_steps": 0.1}),
        (f"{PLAIN}# nothing else\noutput_dir: x  # there\n", {}),
        (f"{PLAIN}val_size: 0\n", {}),
    ],
)
def test_unusual_notation(project: Path, text: str, args: dict[str, Any]) -> None:
    assert recipe(project, text).args == args
    remarks = [line.partition("#")[2] for line in text.splitlines() if "#" in line]
    made = imported(project, text).text
    assert all(remark in made for remark in remarks)


def test_remarks_among_several_data_sets_are_kept(project: Path) -> None:
    text = PLAIN.replace("facts", "\n  - facts  # the first\n  # - more\n  - rest")
    made = imported(project, text).text
    assert "# - facts  # the first\n# - more\n" in made
    assert [file.path for file in recipe(project, text).data.train] == [
        "data/facts.jsonl",
        "data/rest.jsonl",
    ]


def test_a_secret_is_not_remembered_with_what_was_remarked_on_it(project: Path) -> None:
    made = imported(project, f"{PLAIN}hf_hub_token: hf_abc  # mine\nlora_rank: 8\n")
    assert "# hf_hub_token  # mine" in made.text
    assert "hf_abc" not in made.text


@pytest.mark.parametrize("name", ["a: b", "3", "it's"])
def test_names_are_quoted_where_they_must_be(project: Path, name: str) -> None:
    text = PLAIN.replace("a/b", json.dumps(name)) + f"template: {json.dumps(name)}\n"
    made = recipe(project, text)
    assert (made.template, made.base) == (name, f"path:{name}")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f"{PLAIN}val_size: ten\n", "write a share such as 0.1"),
        (f"{PLAIN}val_size: true\n", "write a share such as 0.1"),
        (f"{PLAIN}val_size: 0.1\neval_dataset: more\n", "are both set"),
        (f"{PLAIN}warmup_ratio: 0.1\nwarmup_steps: 9\n", "are both set"),
        (f"{PLAIN}5: x\n", "`5` is no name of an option"),
        (f"{PLAIN}lora_rank: 8\nlora_rank: 4\n", "is given twice"),
        (f"{PLAIN}---\nstage: dpo\n", "another document"),
        (PLAIN.replace("dataset: facts\n", ""), "names no `dataset`"),
    ],
)
def test_what_says_no_one_thing_is_refused_at_its_place(
    project: Path, text: str, told: str
) -> None:
    with pytest.raises(BadInput, match=told) as caught:
        imported(project, text)
    assert "config.yaml" in caught.value.where


def test_what_needs_no_place_is_named(project: Path) -> None:
    told = imported(project, CONFIG).left_out
    assert [one.partition(":")[0] for one in told] == ["`output_dir`", "`report_to`"]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("adapter_name_or_path: saves/sft", "llmops models add"),
        ("ref_model: Acme/Big", "llmops chooses the reference model"),
        ("val_size: 100", "write a share"),
        ("chunk_size: 8192", "no such option"),
    ],
)
def test_what_would_train_something_else_is_refused(
    project: Path, engine: Environment, line: str, told: str
) -> None:
    with pytest.raises(BadInput, match=told) as caught:
        imported(project, f"{CONFIG}{line}\n", engine)
    assert "--leave-out" in caught.value.fix


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: 1\n", "no training config"),
        ("stage: sft\nmodel_name_or_path: x\n", "does not train"),
        ("stage: ppo\nmodel_name_or_path: x\ndo_train: true\n", "is not one of pt, sft"),
    ],
)
def test_what_is_no_training_is_refused(project: Path, text: str, told: str) -> None:
    with pytest.raises(BadInput, match=told):
        imported(project, text)


SAID = [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}]
ASKED = {"question": "1 + 1?", "good": "2", "bad": "3"}
DATA: dict[str, tuple[str, dict[str, Any], Any]] = {
    "alpaca": ("sft", {}, {"instruction": "Add", "input": "1, 1", "output": "2"}),
    "named": ("sft", {"columns": {"prompt": "q", "response": "a"}}, {"q": "1 + 1?", "a": "2"}),
    "sharegpt": (
        "sft",
        {"formatting": "sharegpt", "columns": {"messages": "said"}},
        {"said": SAID},
    ),
    "text": ("pt", {"columns": {"prompt": "body"}}, {"body": "Once upon a time."}),
    "pairs": (
        "dpo",
        {"ranking": True, "columns": {"prompt": "question", "chosen": "good", "rejected": "bad"}},
        ASKED,
    ),
    "pairs-said": (
        "dpo",
        {
            "ranking": True,
            "formatting": "sharegpt",
            "columns": {"messages": "conversations", "chosen": "good", "rejected": "bad"},
        },
        {"conversations": SAID[:1], "good": SAID[1], "bad": SAID[1] | {"value": "No"}},
    ),
    "kto": (
        "kto",
        {"columns": {"prompt": "q", "response": "a", "kto_tag": "liked"}},
        {"q": "1 + 1?", "a": "2", "liked": True},
    ),
}


@pytest.mark.parametrize("name", DATA)
def test_a_data_set_is_read_as_the_config_reads_it(project: Path, name: str) -> None:
    stage, entry, row = DATA[name]
    with_data(project, name, entry | {"num_samples": 2}, [row] * 3)
    text = f"stage: {stage}\nmodel_name_or_path: a/b\ndo_train: true\ndataset: {name}\n"
    (file,) = recipe(project, text).data.train
    found = inspect_data(file, project / file.path)
    assert (found.samples, set(found.columns.values())) == (2, set(row))


def test_a_data_set_that_lies_elsewhere_is_told(project: Path) -> None:
    (project / "data").mkdir()
    info = {"facts": {"hf_hub_url": "acme/facts"}}
    (project / "data" / "dataset_info.json").write_text(json.dumps(info))
    first, second = imported(project, CONFIG).todo
    assert "hf_hub_url acme/facts" in first
    assert "`more` is not in" in second


def test_images_are_refused(project: Path) -> None:
    name = with_data(project, "seen", {"columns": {"prompt": "q", "images": "i"}}, [])
    text = f"stage: sft\nmodel_name_or_path: a/b\ndo_train: true\ndataset: {name}\n"
    with pytest.raises(BadInput, match="llmops trains on text"):
        imported(project, text)


def test_json_is_a_config_too(project: Path) -> None:
    value = {"stage": "sft", "model_name_or_path": "a/b", "do_train": True, "dataset": "facts"}
    spec = recipe(project, json.dumps({**value, "learning_rate": 0.0001}))
    assert (spec.stage, spec.args) == ("sft", {"learning_rate": 0.0001})


def test_a_block_of_text_is_not_cut_at_what_looks_like_a_comment(project: Path) -> None:
    file = project / "config.yaml"
    file.write_text("stage: sft\nmodel_name_or_path: a\ndo_train: true\nnotes: |\n  a\n  # b\n")
    assert read_config(file).entries[-1].lines == ("notes: |", "  a", "  # b")


def test_the_command_writes_a_recipe_and_no_other_file(project: Path, llmops: Llmops) -> None:
    (project / "config.yaml").write_text(CONFIG)
    done = llmops("import", "config.yaml", "-o", "recipes/tiny.yaml")
    assert done.returncode == 0, done.stderr
    assert "model: tiny-1b" in (project / "recipes" / "tiny.yaml").read_text()
    again = llmops("import", "config.yaml", "-o", "recipes/tiny.yaml")
    assert (again.returncode, "there is such a file already" in again.stderr) == (2, True)
