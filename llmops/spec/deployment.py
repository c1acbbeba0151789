"""The grammar of a deployment: what is served, and how."""

from typing import Literal

from pydantic import Field

from llmops.spec.grammar import ModelRef, Name, Options, Spec

LoraRank = Literal[1, 8, 16, 32, 64, 128, 256, 320, 512]


class Lora(Spec):
    """Hot-loaded adapters. slots: adapters in one batch; max_rank: fixed while the server runs.

    The ranks are those that vLLM 0.32 accepts for --max-lora-rank.
    """

    slots: int = Field(4, ge=1)
    max_rank: LoraRank = 32


class VllmBackend(Spec):
    """A vLLM server of this project's own; its base is derived from the variants."""

    kind: Literal["vllm"] = "vllm"
    lora: Lora = Field(default_factory=lambda: Lora())
    args: Options = Field(default_factory=dict, description="vLLM's own server options")


class Listen(Spec):
    """Where the OpenAI-compatible endpoint listens: a loopback port (0: any free one), or a Unix
    socket."""

    port: int = Field(8000, ge=0, le=65535)
    uds: str | None = None


class Variant(Spec):
    """One version that answers, under a name that stays when the version moves."""

    model: ModelRef


class Deployment(Spec):
    """A named set of variants on one backend."""

    name: Name
    backend: VllmBackend = Field(default_factory=lambda: VllmBackend())
    listen: Listen = Field(default_factory=lambda: Listen())
    variants: dict[Name, Variant] = Field(min_length=1)
