"""The grammar of `kind: evaluate`: suites asked of a version, and what a gate asks for."""

from typing import Literal

from pydantic import Field, model_validator

from llmops.spec.grammar import ModelRef, Name, Spec


class Sampling(Spec):
    """How the answers are drawn. seed: of the backend's sampling, where temperature is not 0."""

    temperature: float = Field(0.0, ge=0)
    max_tokens: int = Field(256, ge=1)
    seed: int = 0


class Requirement(Spec):
    """One thing that the evidence must show, about one metric of one suite.

    at_least: the lower end of the rate's interval. better_by, not_worse_by: bounds on the paired
    difference to the baseline (rates: 0.05 is five points).
    """

    suite: Name
    metric: str
    at_least: float | None = Field(None, ge=0, le=1)
    better_by: float | None = Field(None, ge=0)
    not_worse_by: float | None = Field(None, gt=0)

    @model_validator(mode="after")
    def _one_of(self) -> "Requirement":
        given = (self.at_least, self.better_by, self.not_worse_by)
        if sum(value is not None for value in given) != 1:
            raise ValueError("give one of `at_least`, `better_by`, `not_worse_by`")
        return self


class EvaluateRecipe(Spec):
    """Ask a version the suites, through the serving path, and judge the result.

    baseline: the version that it is compared with, asked the same. through: the deployment whose
    backend answers (started when it does not run). gate: what the evidence must show to pass.
    """

    kind: Literal["evaluate"]
    model: ModelRef
    baseline: ModelRef | None = None
    suites: list[str] = Field(min_length=1, description="suite files")
    through: str = Field(description="a deployment, e.g. serving/town.yaml")
    sampling: Sampling = Field(default_factory=lambda: Sampling())
    confidence: float = Field(0.95, gt=0.5, lt=1)
    gate: list[Requirement] = Field(default_factory=list)
