"""What all the grammars share: the strict base model and the checked scalar types."""

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from llmops.spec.reference import NAME, parse_reference


class Spec(BaseModel):
    """A part of a declaration: unknown keys are errors, values never change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _model_reference(text: str) -> str:
    if parse_reference(text).scheme == "preferences":
        raise ValueError(f"`{text}` names preference data, where a model is expected")
    return text


Name = Annotated[str, Field(pattern=rf"^{NAME}$", description="lower-case letters, digits, . _ -")]
ModelRef = Annotated[
    str,
    AfterValidator(_model_reference),
    Field(description="NAME:vN, NAME@alias, recipe:FILE, stage:NAME, path:DIR or hub:ORG/NAME@REV"),
]
Options = dict[str, Any]
