"""The grammar of a recipe: one stage, declared.

`kind: base` makes a model from scratch; `kind: train` trains one. The options of the engine pass
through under `args` and are checked by the engine (llmops/engines), not here. The kinds of the
loop have files of their own: preferences.py, evaluation.py, simulation.py.
"""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, TypeAdapter, field_validator, model_validator

from llmops.spec.evaluation import EvaluateRecipe
from llmops.spec.grammar import ModelName, ModelRef, Options, Size, Spec
from llmops.spec.preferences import PreferencesRecipe
from llmops.spec.reference import parse_reference
from llmops.spec.simulation import SimulateRecipe

TrainStage = Literal["cpt", "sft", "dpo", "kto", "rm"]
Layout = Literal["text", "messages", "sharegpt", "alpaca", "preference", "kto"]


class DataFile(Spec):
    """One data file, here or at the Hub, or a snapshot of preference pairs. A relative path is
    looked up beside the file that names it, then from the project's root."""

    path: str = ""
    preferences: str | None = Field(
        None, description="NAME: its newest snapshot, or the one made in the same run; NAME@N"
    )
    hub: str | None = Field(
        None, description="ORG/NAME@REV:FILE, of a data repository of the Hugging Face Hub"
    )
    layout: Layout | None = Field(None, description="detected from the content when left out")
    columns: dict[str, str] | None = Field(
        None, description="the file's own column for each of the layout's, e.g. {text: body}"
    )
    limit: int | None = Field(None, ge=1, description="use only so many samples")
    licence: str | None = Field(
        None, min_length=1, description="for the record; left out: as the data's card says"
    )

    @model_validator(mode="after")
    def _one_of(self) -> "DataFile":
        if bool(self.path) + (self.preferences is not None) + (self.hub is not None) != 1:
            raise ValueError("give one of `path`, `preferences` and `hub`")
        if self.hub is not None and not parse_reference(self.reference).file:
            raise ValueError(f"`{self.reference}` names no file; expected hub:ORG/NAME@REV:FILE")
        return self

    @property
    def reference(self) -> str:
        """As it is written in short."""
        if self.hub is not None:
            return f"hub:{self.hub}"
        named = f"preferences:{self.preferences}"
        return named if self.preferences is not None else f"path:{self.path}"


def _data_reference(value: Any) -> Any:
    """`path:FILE` is short for `{path: FILE}`, and so are `preferences:NAME` and `hub:...:FILE`."""
    if isinstance(value, str):
        reference = parse_reference(value)
        if reference.scheme in ("path", "preferences", "hub"):
            return {reference.scheme: value.partition(":")[2]}
        raise ValueError(
            f"`{value}` is no data; expected path:FILE, preferences:NAME or hub:ORG/NAME@REV:FILE"
        )
    return value


_ShortOrLong = (
    Annotated[
        str,
        Field(
            pattern="^(path|preferences|hub):.",
            description="path:FILE, preferences:NAME or hub:ORG/NAME@REV:FILE",
        ),
    ]
    | DataFile
)
_WrittenFiles = Annotated[list[_ShortOrLong], Field(min_length=1)]
"""How data files are written, for the JSON Schema; the loader makes each a DataFile."""


class TrainData(Spec):
    """What a stage trains on."""

    train: list[DataFile] = Field(min_length=1)
    validation: float | list[DataFile] | None = Field(
        None, description="a share of the training data (0 to 1), or files of its own"
    )

    @field_validator("train", mode="before", json_schema_input_type=_WrittenFiles)
    @classmethod
    def _short_forms(cls, value: Any) -> Any:
        return [_data_reference(item) for item in value] if isinstance(value, list) else value

    @field_validator(
        "validation", mode="before", json_schema_input_type=float | list[_ShortOrLong] | None
    )
    @classmethod
    def _share_or_files(cls, value: Any) -> Any:
        if isinstance(value, list):
            return [_data_reference(item) for item in value]
        if isinstance(value, int | float) and not 0 < value < 1:
            raise ValueError("a share must lie between 0 and 1; leave it out for no validation")
        return value


class Resources(Spec):
    """What a stage may use. devices: accelerators (or processes, on CPU)."""

    devices: int = Field(1, ge=1)
    while_serving: Literal["share", "sleep", "stop", "refuse"] = Field(
        "share",
        description="while a server of this project runs: run beside it, let it sleep or stop "
        "meanwhile, or refuse to",
    )
    retries: int = Field(
        2,
        ge=0,
        le=10,
        description="after a failure for a cause that may pass: a port in use, a lost connection",
    )
    memory: Size | None = Field(None, description="of the machine, for all processes of the job")
    disk: Size | None = Field(None, description="for the files of an attempt")
    processes: int | None = Field(None, ge=1, description="at once")


Reaction = Literal["off", "warn", "stop", "fail"]


class Watched(Spec):
    """What is done about what goes wrong while a stage trains: say so; end it early and keep the
    best checkpoint; or let it fail."""

    overfitting: Reaction = Field("warn", description="validation loss rises, the loss falls")
    instability: Reaction = Field("warn", description="NaN, a loss or gradients that explode")
    no_preference: Reaction = Field("warn", description="preference accuracy stays at chance")
    collapse: Reaction = Field("warn", description="reward margins collapse")

    def reaction(self, kind: str) -> Reaction:
        found: Reaction = getattr(self, kind)
        return found

    @property
    def stops(self) -> list[str]:
        """The kinds that end training early."""
        return [kind for kind in type(self).model_fields if self.reaction(kind) == "stop"]


class Output(Spec):
    """Where the result goes: the next version of `model`."""

    model: ModelName


class TrainRecipe(Spec):
    """A training stage: continued pre-training, supervised fine-tuning, preference training."""

    kind: Literal["train"]
    stage: TrainStage
    base: ModelRef
    data: TrainData
    engine: str = "llamafactory"
    template: str | None = Field(
        None, description="leave unset: the base's own chat template is used (docs/recipes.md)"
    )
    insist_on_template: bool = Field(
        False, description="though it makes other tokens than the base's own, which serves"
    )
    args: Options = Field(default_factory=dict, description="the engine's own options")
    resources: Resources = Field(default_factory=lambda: Resources())
    watch: Watched = Field(default_factory=lambda: Watched())
    output: Output

    @property
    def cutoff(self) -> int:
        """Tokens that a sample has at most: as many by default as in hparams/data_args.py."""
        return int(self.args.get("cutoff_len", 2048))

    @property
    def packed(self) -> bool:
        """Whether samples share rows of `cutoff_len` tokens: the engine's default for texts."""
        return bool(self.args.get("neat_packing") or self.args.get("packing", self.stage == "cpt"))


class Tokenizer(Spec):
    """A byte-level BPE tokenizer, trained on `texts` (fields of JSON rows, or whole text files)."""

    vocab_size: int = Field(ge=264, description="256 bytes, the special tokens and the merges")
    texts: list[DataFile] = Field(min_length=1)
    chat_template: str | None = Field(None, description="Jinja; ChatML when left out")
    special_tokens: list[str] = Field(
        default_factory=lambda: ["<|endoftext|>", "<|im_start|>", "<|im_end|>"], min_length=1
    )
    eos_token: str = "<|im_end|>"
    pad_token: str = "<|endoftext|>"

    @field_validator("texts", mode="before", json_schema_input_type=_WrittenFiles)
    @classmethod
    def _short_forms(cls, value: Any) -> Any:
        return [_data_reference(item) for item in value] if isinstance(value, list) else value


class BaseRecipe(Spec):
    """A model made from scratch: random weights from a seed and a tokenizer of its own."""

    kind: Literal["base"]
    architecture: Options = Field(
        description="a transformers config: model_type and its options; vocab_size is derived"
    )
    tokenizer: Tokenizer
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    seed: int = Field(0, ge=0)
    engine: str = "llamafactory"
    output: Output


KINDS: dict[str, type[Spec]] = {
    "base": BaseRecipe,
    "train": TrainRecipe,
    "preferences": PreferencesRecipe,
    "evaluate": EvaluateRecipe,
    "simulate": SimulateRecipe,
}


def recipe_schema() -> dict[str, Any]:
    """JSON Schema of a recipe of any kind."""
    tagged = Annotated[
        Annotated[BaseRecipe, Tag("base")]
        | Annotated[TrainRecipe, Tag("train")]
        | Annotated[PreferencesRecipe, Tag("preferences")]
        | Annotated[EvaluateRecipe, Tag("evaluate")]
        | Annotated[SimulateRecipe, Tag("simulate")],
        Discriminator("kind"),
    ]
    return TypeAdapter(tagged).json_schema()
