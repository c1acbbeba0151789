"""What the registry knows of a version: `manifest.json` beside its files."""

import re
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field

from llmops.spec.grammar import Name, Spec
from llmops.spec.reference import NAME


@dataclass(frozen=True, order=True)
class VersionId:
    """`NAME:vN`, the one name of a version everywhere (design decision 5)."""

    name: str
    number: int

    def __str__(self) -> str:
        return f"{self.name}:v{self.number}"

    @classmethod
    def parse(cls, text: str) -> "VersionId":
        """Raises ValueError when `text` is not NAME:vN."""
        match = re.fullmatch(rf"({NAME}):v([1-9][0-9]*)", text)
        if match is None:
            raise ValueError(f"`{text}` is not NAME:vN")
        return cls(match[1], int(match[2]))


class Golden(Spec):
    """A prompt with what the training engine made of it, to be compared by every server.

    messages: a chat, rendered with the base's chat template; or text: a plain prompt.
    prompt_ids: its P tokens. completion_ids: the C tokens that follow, greedily chosen.
    logprobs: natural logarithms, of tokens 2..P+C given those before them (P+C-1 figures).
    base_logprobs: the same tokens by the base alone; only for adapters.
    """

    messages: list[dict[str, str]] | None = None
    text: str | None = None
    prompt_ids: list[int]
    completion_ids: list[int]
    logprobs: list[float]
    base_logprobs: list[float] | None = None


class DataUsed(Spec):
    """A data file that went into a version. path: relative to the project if below it; reference:
    what the recipe named it by."""

    path: str
    sha256: str
    samples: int
    reference: str | None = None


class SnapshotUsed(Spec):
    """A snapshot of preferences that went into a version: preferences:NAME@N, and its digest."""

    id: str
    digest: str


class Template(Spec):
    """How chats become tokens. name: the engine's template, where a recipe insisted; sha256: of the
    chat template that the model (an adapter's base) carries, None when it carries none."""

    name: str | None = None
    sha256: str | None = None


class Licences(Spec):
    """As their sources name them, by SPDX id or otherwise; None: unknown, which is never guessed.

    own: of the model, as it was added. base: of the weights that it was made from. data: of all
    that it was trained on, its parents included, by reference.
    """

    own: str | None = None
    base: str | None = None
    data: dict[str, str | None] = Field(default_factory=dict)


class Lineage(Spec):
    """Where a version comes from."""

    run: str | None = None
    stage: str | None = Field(None, description="the name of the stage in its run")
    attempt: int | None = None
    recipe: str | None = Field(None, description="the recipe's file, relative to the project")
    resolved: dict[str, Any] = Field(default_factory=dict, description="the recipe as it ran")
    parent: str | None = Field(None, description="the version it was trained from or made of")
    data: list[DataUsed] = Field(default_factory=list)
    preferences: list[SnapshotUsed] = Field(default_factory=list)
    packages: dict[str, str] = Field(
        default_factory=dict, description="versions of what made it, by distribution"
    )
    stopped: str = Field("", description="why its training ended before the last step")
    engine: str | None = None
    engine_version: str | None = None
    imported_from: str | None = None


class Draft(Spec):
    """A version before the registry gave it a number: what whoever made it knows of it.

    kind: `full` (a model of its own) or `adapter` (one LoRA adapter on `base`).
    base: NAME:vN, or path:DIR for a model that is not registered; base_digest: its digest.
    parts: what the fingerprint covers, digest by name, so that a later plan can say what changed.
    """

    name: Name
    kind: Literal["full", "adapter"]
    stage: str = Field(description="base, cpt, sft, dpo, kto, rm, import, merge or compress")
    base: str | None = None
    base_digest: str | None = None
    lora_rank: int | None = None
    lora_alpha: float | None = None
    template: Template | None = Field(None, description="None: made before this was recorded")
    licences: Licences = Field(default_factory=lambda: Licences())
    dtype: str | None = None
    fingerprint: str | None = None
    parts: dict[str, str] = Field(default_factory=dict)
    golden: list[Golden] = Field(default_factory=list)
    metrics: dict[str, float] = Field(default_factory=dict)
    lineage: Lineage = Field(default_factory=lambda: Lineage())


class Manifest(Draft):
    """A version. Immutable once written.

    files: sha256 of each file by name. digest: sha256 over the names and digests of `files`.
    What a manifest of before a field lacks reads as unknown: `format` is raised for what an older
    reader would take wrongly, and a field that it does not know it refuses.
    """

    format: Literal[1] = 1
    number: int
    created: str = Field(description="ISO 8601, UTC")
    digest: str
    files: dict[str, str]
    seal: str | None = Field(
        None, description="sha256 of all the rest of it, registry/integrity.py"
    )

    @property
    def id(self) -> VersionId:
        return VersionId(self.name, self.number)
