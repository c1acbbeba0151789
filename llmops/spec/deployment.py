"""The grammar of a deployment: what is served, to whom, and what is kept of it."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from llmops.spec.grammar import Duration, ModelRef, Name, Options, Spec, Url

LoraRank = Literal[1, 8, 16, 32, 64, 128, 256, 320, 512]
Unit = Literal["user", "session", "conversation", "request"]


UNITS: tuple[Unit, ...] = ("user", "session", "conversation")
"""What is assigned, unless a deployment says otherwise."""


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

    @property
    def options(self) -> Options:
        """`args` with underscores: vLLM takes dashes as well."""
        return {name.replace("-", "_"): value for name, value in self.args.items()}


class OpenAIBackend(Spec):
    """A server that exists already and speaks OpenAI's protocol; llmops only stands in front."""

    kind: Literal["openai"]
    url: Url = Field(description="its root, with or without /v1")
    key_env: str | None = Field(None, description="the environment variable that holds its key")


Backend = Annotated[VllmBackend | OpenAIBackend, Field(discriminator="kind")]


class Listen(Spec):
    """Where the gateway listens: a port (0: any free one), or a Unix socket. Any host but a
    loopback one asks every client for an API key."""

    host: str = "127.0.0.1"
    port: int = Field(8000, ge=0, le=65535)
    uds: str | None = None


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens at `host`."""
    import ipaddress

    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class Variant(Spec):
    """One version that answers, under a name that stays when the version moves.

    model: a version of the registry. upstream: the model's name at an `openai` backend, when it
    is not one of the registry's or is called otherwise there.
    """

    model: ModelRef | None = None
    upstream: str | None = None

    @model_validator(mode="after")
    def _names_something(self) -> "Variant":
        if self.model is None and self.upstream is None:
            raise ValueError("a variant needs `model`")
        return self


class Traffic(Spec):
    """Who is answered by which variant.

    weights: shares of the units, relative to their sum; variants left out get none; equal when
    empty. unit: what is assigned: the first of these that a request tells, else the request.
    """

    weights: dict[Name, Annotated[float, Field(ge=0)]] = Field(default_factory=dict)
    unit: list[Unit] = Field(default_factory=lambda: list(UNITS), min_length=1)


class FeedbackLog(Spec):
    """log: `required` holds an answer until its record is on disk, `async` does not (at most
    100 ms may be lost). retention: how long texts are kept. window: how long an answer may be
    rated."""

    log: Literal["required", "async"] = "required"
    retention: Duration = "90d"
    window: Duration = "90d"


class Experiment(Spec):
    """What is compared between two variants, and when it is decided.

    outcome: thumbs, rating, regenerate, or metric:NAME. not_worse_by: the candidate also wins
    when it is shown to be worse by less than this; without it, it must be better. alpha: the
    chance of a wrong call, over all the times that one looks.
    """

    control: Name
    candidate: Name
    outcome: str = Field("thumbs", pattern=r"^(thumbs|rating|regenerate|metric:.+)$")
    not_worse_by: float | None = Field(None, gt=0)
    alpha: float = Field(0.05, gt=0, lt=0.5)
    simulated: bool = Field(False, description="count simulated users too")


class Deployment(Spec):
    """A named set of variants on one backend."""

    name: Name
    backend: Backend = Field(default_factory=lambda: VllmBackend())
    listen: Listen = Field(default_factory=lambda: Listen())
    variants: dict[Name, Variant] = Field(min_length=1)
    traffic: Traffic = Field(default_factory=lambda: Traffic())
    feedback: FeedbackLog = Field(default_factory=lambda: FeedbackLog())
    experiment: Experiment | None = None

    @field_validator("backend", mode="before")
    @classmethod
    def _vllm_is_meant(cls, value: object) -> object:
        """`backend: {lora: ...}` means vLLM."""
        return {"kind": "vllm", **value} if isinstance(value, dict) else value

    @model_validator(mode="after")
    def _names_variants(self) -> "Deployment":
        compared = [self.experiment.control, self.experiment.candidate] if self.experiment else []
        for name in [*self.traffic.weights, *compared]:
            if name not in self.variants:
                known = ", ".join(self.variants)
                raise ValueError(f"there is no variant `{name}`; there are: {known}")
        if self.traffic.weights and not any(self.traffic.weights.values()):
            raise ValueError("the traffic weights are all 0: nobody would be answered")
        for name, variant in self.variants.items():
            if variant.upstream is not None and self.backend.kind == "vllm":
                raise ValueError(f"variant `{name}`: `upstream` has a meaning for openai backends")
        return self
