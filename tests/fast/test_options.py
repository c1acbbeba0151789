"""Reading an engine's option set from its source, and remembering it."""

from pathlib import Path

import pytest

from llmops.engines.contract import Environment
from llmops.engines.llamafactory.options import OptionSet, option_set, transformers_version
from llmops.engines.llamafactory.signatures import SOURCES
from llmops.errors import BadInput

SOURCE = {
    "llamafactory/hparams/model_args.py": """
class Base:
    flash_attn: AttentionFunction = field(default=AttentionFunction.AUTO)
    cache_dir: str | None = field(default=None)

class ModelArguments(Base):
    quantization_bit: int | None = field(default=None)
    compute_dtype: str | None = field(default=None, init=False)
""",
    "llamafactory/hparams/data_args.py": """
class DataArguments:
    cutoff_len: int = field(default=2048)
    mix: Literal["concat", "under"] | None = field(default="concat")
    tool_format: str | None = field(default=None)
""",
    "llamafactory/hparams/training_args.py": """
class Ray:
    vllm: Optional[str] = field(default=None)

class TrainingArguments(Ray, BaseTrainingArguments):
    fp8: bool = field(default=False)
""",
    "llamafactory/hparams/finetuning_args.py": """
class FinetuningArguments:
    lora_target: str = field(
        default="all", metadata={"help": "Modules. " "Use commas to separate multiple modules."}
    )
""",
    "llamafactory/hparams/generating_args.py": """
class GeneratingArguments:
    top_p: float = field(default=0.7)
""",
    "llamafactory/data/tool_utils.py": """
OTHER = {"a": 1}
TOOLS = {"default": Default(), "qwen": Qwen()}
""",
    "transformers/training_args_seq2seq.py": """
class Seq2SeqTrainingArguments(TrainingArguments):
    sortish_sampler: bool = field(default=False)
""",
    "transformers/training_args.py": """
class TrainingArguments:
    learning_rate: float = field(default=5e-5)
    eval_strategy: IntervalStrategy | str = field(default="no")
    fp8: int = field(default=3)
""",
    "transformers/trainer_utils.py": """
class IntervalStrategy(ExplicitEnum):
    NO = "no"
    STEPS = "steps"
""",
    "llamafactory/extras/constants.py": """
class AttentionFunction(StrEnum):
    AUTO = "auto"
    FA3 = "fa3"
""",
    "llamafactory/data/template.py": """
register_template(name="qwen", x=1)
register_template("llama3")
""",
}


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    """Source files laid out as an installed engine's are."""
    site = tmp_path / "site"
    for name, text in SOURCE.items():
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_text(text, encoding="utf-8")
    (site / "transformers-5.6.0.dist-info").mkdir()
    return Environment("llamafactory", "0.9.5", tmp_path / "python", site)


def names(found: OptionSet, group: str) -> set[str]:
    return {option.name for option in found.options.values() if option.group == group}


def test_fields_of_a_class_and_its_bases(environment: Environment) -> None:
    found = option_set(environment)
    assert names(found, "model") == {"flash_attn", "cache_dir", "quantization_bit"}


def test_both_training_arguments_in_one_group(environment: Environment) -> None:
    found = names(option_set(environment), "training")
    assert found == {"vllm", "fp8", "sortish_sampler", "learning_rate", "eval_strategy"}


def test_the_nearer_class_wins(environment: Environment) -> None:
    assert option_set(environment).options["fp8"].types == ("bool",)


def test_enum_gives_choices(environment: Environment) -> None:
    found = option_set(environment).options
    assert found["flash_attn"].choices == ("auto", "fa3")
    assert found["eval_strategy"].choices == ("no", "steps")


def test_literal_gives_choices(environment: Environment) -> None:
    option = option_set(environment).options["mix"]
    assert (option.types, option.choices, option.default) == (
        ("str", "None"),
        ("concat", "under"),
        "concat",
    )


def test_words_that_stand_elsewhere(environment: Environment) -> None:
    assert option_set(environment).options["tool_format"].choices == ("default", "qwen")
    (environment.site / "llamafactory/data/tool_utils.py").unlink()
    assert option_set(environment).options["tool_format"].choices == ()


def test_help_tells_that_a_list_is_joined(environment: Environment) -> None:
    found = option_set(environment).options
    assert (found["lora_target"].joined, found["cache_dir"].joined) == (True, False)


def test_templates(environment: Environment) -> None:
    assert option_set(environment).templates == ("llama3", "qwen")


def test_transformers_version(environment: Environment) -> None:
    assert transformers_version(environment.site) == "5.6.0"


def test_remembered_set_is_the_same(environment: Environment, tmp_path: Path) -> None:
    first = option_set(environment, tmp_path / "cache")
    assert option_set(environment, tmp_path / "cache") == first


def test_remembered_set_is_used(environment: Environment, tmp_path: Path) -> None:
    option_set(environment, tmp_path / "cache")
    (file,) = (tmp_path / "cache").iterdir()
    file.write_text(file.read_text().replace('"llama3"', '"llama9"'))
    assert "llama9" in option_set(environment, tmp_path / "cache").templates


def test_changed_source_is_read_again(environment: Environment, tmp_path: Path) -> None:
    option_set(environment, tmp_path / "cache")
    file = environment.site / "llamafactory/hparams/data_args.py"
    file.write_text("class DataArguments:\n    buffer_size: int = field(default=1)\n")
    assert names(option_set(environment, tmp_path / "cache"), "data") == {"buffer_size"}


def test_damaged_cache_is_read_again(environment: Environment, tmp_path: Path) -> None:
    option_set(environment, tmp_path / "cache")
    (file,) = (tmp_path / "cache").iterdir()
    file.write_text('{"options": [')
    assert "top_p" in option_set(environment, tmp_path / "cache").options


@pytest.mark.parametrize("name", SOURCES)
def test_missing_source_is_named(name: str, environment: Environment) -> None:
    (environment.site / name).unlink()
    with pytest.raises(BadInput) as caught:
        option_set(environment)
    assert caught.value.where.endswith(name)


def test_other_layout_of_the_source(environment: Environment) -> None:
    (environment.site / "llamafactory/hparams/data_args.py").write_text("class Data:\n    pass\n")
    with pytest.raises(BadInput, match="no class DataArguments"):
        option_set(environment)
