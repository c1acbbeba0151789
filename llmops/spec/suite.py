"""The grammar of a suite: prompts as data, and what is measured of the answers.

`{name}` in a text stands for the field of that name of the item in hand; braces around anything
else are themselves, so that regular expressions keep their `{2,4}`.
"""

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from llmops.spec.grammar import Name, Spec, Url

Texts = str | list[str]
"""One text, or several. `{name}` alone stands for what the field holds: a text or a list."""


class Exact(Spec):
    """The answer is this text, or one of several. ignore: what makes no difference; space at both
    ends never does."""

    text: Texts
    ignore: list[Literal["case", "space", "punctuation", "articles", "accents"]] = Field(
        default_factory=list
    )


class Contains(Spec):
    """The answer holds these texts. words: as whole words only; case: capitals count."""

    any: Texts | None = None
    all: Texts | None = None
    words: bool = True
    case: bool = True

    @model_validator(mode="after")
    def _one_of(self) -> "Contains":
        if (self.any is None) == (self.all is None):
            raise ValueError("give either `any` or `all`")
        return self


class Numeric(Spec):
    """The answer holds this number. tolerance: absolute; relative: a share of the value; take:
    which number of the answer is meant."""

    value: str | float
    tolerance: float = Field(0.0, ge=0)
    relative: float = Field(0.0, ge=0)
    take: Literal["first", "last", "only", "any"] = "last"


class JudgeCheck(Spec):
    """A judge model compares the answer with the baseline's, in both orders; an answer has won
    when it wins both. url: an OpenAI-compatible endpoint; key_env: the variable with its key."""

    url: Url
    model: str
    key_env: str | None = None
    criteria: str = "Which answer is more helpful, correct and to the point?"
    max_tokens: int = Field(16, ge=1)


def _short(value: Any, key: str, kinds: tuple[type, ...]) -> Any:
    """`contains: TEXT` means `contains: {all: TEXT}`."""
    return {key: value} if isinstance(value, kinds) else value


class Metric(Spec):
    """What must hold of an answer: everything that is given. The metric is the share of the items
    for which it does; a judge and perplexity stand alone."""

    exact: Exact | None = None
    contains: Contains | None = Field(None, description="a list alone: all of its texts")
    not_contains: Contains | None = Field(None, description="a list alone: none of its texts")
    regex: str | None = None
    not_regex: str | None = None
    numeric: Numeric | None = None
    json_schema: dict[str, Any] | str | None = Field(
        None, description="a JSON Schema, or the file that holds one"
    )
    is_json: bool = Field(False, description="the answer is JSON, whatever it says")
    max_words: int | None = Field(None, ge=0)
    min_words: int | None = Field(None, ge=1)
    max_chars: int | None = Field(None, ge=0)
    min_chars: int | None = Field(None, ge=1)
    max_lines: int | None = Field(None, ge=1)
    starts_with: Texts | None = None
    ends_with: Texts | None = None
    no_markdown: bool = False
    finished: bool = Field(False, description="the answer was not cut off at max_tokens")
    judge: JudgeCheck | None = None
    perplexity: str | None = Field(None, description="of this text, e.g. {text}; vLLM only")

    @field_validator("exact", mode="before", json_schema_input_type=Texts | Exact | None)
    @classmethod
    def _exact_text(cls, value: Any) -> Any:
        return _short(value, "text", (str, list))

    @field_validator("contains", mode="before", json_schema_input_type=Texts | Contains | None)
    @classmethod
    def _all_of(cls, value: Any) -> Any:
        return _short(value, "all", (str, list))

    @field_validator("not_contains", mode="before", json_schema_input_type=Texts | Contains | None)
    @classmethod
    def _none_of(cls, value: Any) -> Any:
        return _short(value, "any", (str, list))

    @field_validator("numeric", mode="before", json_schema_input_type=str | float | Numeric | None)
    @classmethod
    def _number(cls, value: Any) -> Any:
        return _short(value, "value", (str, int, float))

    @model_validator(mode="after")
    def _something(self) -> "Metric":
        given = {k for k in self.model_fields_set if getattr(self, k) not in (None, False)}
        if not given:
            raise ValueError('a metric needs a check, e.g. `contains: "{answer}"`')
        alone = given & {"judge", "perplexity"}
        if alone and len(given) > 1:
            raise ValueError(f"`{min(alone)}` stands alone: give it a metric of its own")
        return self

    @property
    def kind(self) -> Literal["checks", "judge", "perplexity"]:
        """What the metric is: a rate of checks that hold, of comparisons won, or a mean."""
        if self.judge is not None:
            return "judge"
        return "checks" if self.perplexity is None else "perplexity"


class Suite(Spec):
    """Prompts and metrics under a name.

    items: a JSON-lines file (beside the suite, or from the project's root), or the items: `id`,
    `prompt` (or `messages`), and any fields that checks use. prompt: how the prompt is made of an
    item's fields. source: the field that says what an item was made from; items with the same
    source are no independent evidence, and the intervals say so.
    """

    name: Name
    items: str | Annotated[list[dict[str, Any]], Field(min_length=1)]
    prompt: str | None = None
    source: str = "source"
    metrics: dict[Name, Metric] = Field(min_length=1)
