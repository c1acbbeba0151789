"""References: how a declaration names a model, a recipe, a stage or data (design decision 5).

town:v3           a version            town@production   an alias
recipe:cpt.yaml   what a recipe makes  stage:sft         a stage of the same pipeline
path:DIR          a directory          hub:ORG/NAME@REV  a Hugging Face Hub repository
                                       hub:ORG/NAME@REV:FILE  a file of one that holds data
preferences:town  a snapshot of preference pairs
"""

import re
from dataclasses import dataclass
from typing import Literal

Scheme = Literal["version", "alias", "recipe", "stage", "path", "hub", "preferences"]

NAME = r"[a-z0-9][a-z0-9._-]{0,63}"
_VERSION = re.compile(rf"^({NAME}):v([1-9][0-9]*)$")
_ALIAS = re.compile(rf"^({NAME})@({NAME})$")
# No part begins with a point, so that none leads out of the cache that it is looked up in.
_PART = r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,95}"
_HUB = re.compile(
    rf"({_PART}(?:/{_PART})?)(?:@({_PART}(?:/{_PART})*))?(?::([^/.:][^/:]*(?:/[^/.:][^/:]*)*))?"
)
_SCHEMES = ("recipe", "stage", "path", "hub", "preferences")

EXPECTED = (
    "a reference: NAME:vN, NAME@alias, recipe:FILE, stage:NAME, path:DIR, hub:ORG/NAME@REV "
    "or preferences:NAME"
)


@dataclass(frozen=True)
class Reference:
    """A parsed reference. `target` is what follows the scheme; `part` is the version number of a
    version, the alias of an alias and the revision of a Hub reference (default `main`). `file`: the
    path of a file in a Hub repository of data."""

    scheme: Scheme
    target: str
    part: str = ""
    file: str = ""

    def __str__(self) -> str:
        match self.scheme:
            case "version":
                return f"{self.target}:v{self.part}"
            case "alias":
                return f"{self.target}@{self.part}"
            case "hub":
                file = f":{self.file}" if self.file else ""
                return f"hub:{self.target}@{self.part}{file}"
            case _:
                return f"{self.scheme}:{self.target}"


def names_model(text: str) -> bool:
    """Whether a model can be called so: `path:v1` names a directory, and no version."""
    return re.fullmatch(NAME, text) is not None and text not in _SCHEMES


def parse_reference(text: str) -> Reference:
    """Parse one reference. Raises ValueError, saying what is expected, when it is none."""
    scheme, colon, rest = text.partition(":")
    if colon and scheme in _SCHEMES:
        if not rest:
            raise ValueError(f"`{text}` names nothing after `{scheme}:`")
        if scheme == "hub":
            named = _HUB.fullmatch(rest)
            if named is None:
                raise ValueError(f"`{text}` is not of the form hub:ORG/NAME@REV")
            return Reference("hub", named[1], named[2] or "main", named[3] or "")
        return Reference(scheme, rest)  # type: ignore[arg-type]
    if match := _VERSION.match(text):
        return Reference("version", match[1], match[2])
    if match := _ALIAS.match(text):
        return Reference("alias", match[1], match[2])
    raise ValueError(f"`{text}` is not {EXPECTED}{_meant(text)}")


def _meant(text: str) -> str:
    """How to write what it probably stands for."""
    if re.fullmatch(NAME, text):
        return f"; of the model `{text}` name a version, `{text}:vN`, or `{text}@production`"
    if match := re.fullmatch(rf"({NAME}):([1-9][0-9]*)", text):
        return f"; a version is written `{match[1]}:v{match[2]}`"
    if text.endswith((".yaml", ".yml")):
        return f"; what a recipe makes is written `recipe:{text}`"
    if re.fullmatch(rf"{_PART}/{_PART}", text):
        return f"; on the Hub it is `hub:{text}`, as a directory `path:{text}`"
    return f"; a directory is written `path:{text}`" if "/" in text else ""
