"""What all the grammars share: the strict base model and the checked scalar types."""

import re
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from llmops.errors import BadInput
from llmops.spec.reference import NAME, names_model, parse_reference


class Spec(BaseModel):
    """A part of a declaration: unknown keys are errors, values never change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _model_reference(text: str) -> str:
    reference = parse_reference(text)
    if reference.scheme == "preferences" or reference.file:
        raise ValueError(f"`{text}` names data, where a model is expected")
    return text


def _url(text: str) -> str:
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise ValueError(f"`{text}` is no URL: {error}") from None
    if not host:
        raise ValueError(f"`{text}` is no URL: it names no host")
    return text


_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def seconds(duration: str) -> float:
    """`90d`, `24h`, `30m`, `45s` or `2w` in seconds."""
    return float(duration[:-1]) * _SECONDS[duration[-1]]


def size(text: str) -> int:
    """`500MB`, `1.5 gb` or plain bytes, in bytes. Raises BadInput for anything else."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*([KMGT]?)B?", text.strip().upper())
    if match is None:
        raise BadInput(f"`{text}` is not a size", fix="such as 500MB or 20GB")
    return int(float(match[1]) * 1000 ** " KMGT".index(match[2] or " "))


def _alias(text: str) -> str:
    if re.fullmatch(r"v[0-9]+", text):
        raise ValueError(f"`{text}` cannot be an alias: it looks like a version")
    return text


def _model_name(text: str) -> str:
    if not names_model(text):
        raise ValueError(f"`{text}` cannot be the name of a model: `{text}:` begins references")
    return text


Name = Annotated[str, Field(pattern=rf"^{NAME}$", description="lower-case letters, digits, . _ -")]
Alias = Annotated[Name, AfterValidator(_alias)]
ModelName = Annotated[Name, AfterValidator(_model_name)]
ModelRef = Annotated[
    str,
    AfterValidator(_model_reference),
    Field(description="NAME:vN, NAME@alias, recipe:FILE, stage:NAME, path:DIR or hub:ORG/NAME@REV"),
]
Url = Annotated[str, Field(pattern=r"^https?://"), AfterValidator(_url)]
Duration = Annotated[
    str, Field(pattern=r"^[0-9]+(\.[0-9]+)?[smhdw]$", description="90d, 24h, 30m, 45s or 2w")
]
Size = Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)?[kMGT]B$", description="500MB, 24GB")]
Options = dict[str, Any]
