"""What a request names as a recipe, pipeline or deployment to plan, run or serve, and what it
changes of it."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from llmops.control.declarations import Declarations
from llmops.control.problems import Refused
from llmops.errors import BadInput, NotFound

Overrides = Annotated[
    list[str] | dict[str, Any],
    Field(
        description="`key=value`, or values by dotted key",
        examples=[["args.learning_rate=1e-3"]],
        max_length=100,
    ),
]
Target = Annotated[
    str,
    Field(
        min_length=1,
        max_length=400,
        description="a file of the project",
        examples=["recipes/sft.yaml"],
    ),
]

Stage = Annotated[str | None, Field(max_length=128, examples=["dpo"])]


def find(path: str, declarations: Declarations, *kinds: str) -> Path:
    """The declaration's file. Raises NotFound when it is not there, or is of another kind."""
    file, kind = declarations.place(path)
    if not file.is_file():
        raise NotFound(f"there is no declaration `{path}`")
    if kind not in kinds:
        raise Refused(422, "invalid", f"`{path}` is no {' or '.join(kinds)}")
    return file


def typed(overrides: list[str] | dict[str, Any]) -> list[str]:
    """The overrides as they are typed at a terminal. Raises Refused (422) for what is no text."""
    import json

    if isinstance(overrides, list):
        return list(overrides)
    found = [
        f"{key}={value if _is_plain(value) else json.dumps(value, ensure_ascii=False)}"
        for key, value in overrides.items()
    ]
    if any("\ud800" <= sign <= "\udfff" for sign in "".join(found)):
        raise Refused(422, "invalid", "overrides: half a character (a surrogate) is no text")
    return found


def _is_plain(value: Any) -> bool:
    """Whether a text means itself when it is read as a YAML value."""
    from llmops.spec.source import parse_scalar

    try:
        return isinstance(value, str) and bool(parse_scalar(value) == value)
    except BadInput:
        return False
