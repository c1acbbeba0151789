"""The grammar of a pipeline: a graph of stages."""

from typing import Annotated, Any

from pydantic import Field, model_validator

from llmops.spec.grammar import Alias, ModelRef, Name, Spec
from llmops.spec.trigger import Limits, Trigger, named

_OF_A_RECIPE = ("base", "model", "baseline", "set")
_OF_A_MOVE = ("to", "when", "once", "approval")


class PipelineStage(Spec):
    """One stage: a recipe to run, or an alias to move.

    {recipe: recipes/cpt.yaml, base: "stage:base", set: {args.max_steps: 10}}
    {promote: "stage:dpo", to: candidate, when: "stage:check"}
    {promote: "stage:dpo", to: production, when: "experiment:town"}
    """

    recipe: str | None = None
    base: ModelRef | None = Field(None, description="overrides the recipe's own base")
    model: ModelRef | None = Field(None, description="overrides an evaluation's own model")
    baseline: ModelRef | None = Field(None, description="overrides an evaluation's own baseline")
    set: dict[str, Any] = Field(default_factory=dict, description="overrides, by dotted key")
    promote: ModelRef | None = None
    to: Alias | None = Field(None, description="the alias that moves")
    when: Annotated[str, Field(pattern=r"^(stage|experiment):.+")] | None = Field(
        None, description="the evidence that it needs: stage:NAME (an evaluation), experiment:NAME"
    )
    once: bool = Field(False, description="only if the alias names nothing yet")
    approval: bool = Field(False, description="a person must agree before the alias moves")
    after: list[Name] = Field(default_factory=list, description="stages that come first, besides")

    @model_validator(mode="after")
    def _one_of(self) -> "PipelineStage":
        if (self.recipe is None) == (self.promote is None):
            raise ValueError("a stage has either `recipe` or `promote`")
        if self.promote is not None and self.to is None:
            raise ValueError("`promote` needs `to`: the alias that moves")
        kind, foreign = ("promote", _OF_A_RECIPE) if self.promote else ("recipe", _OF_A_MOVE)
        for key in foreign:
            if getattr(self, key) not in (None, {}, False):
                raise ValueError(f"`{key}` has no meaning for a stage with `{kind}`")
        return self


class Pipeline(Spec):
    """A named graph of stages; a stage runs after those that it refers to.

    triggers: what starts it by itself (llmops/scheduling), within its limits.
    """

    name: Name
    stages: dict[Name, PipelineStage] = Field(min_length=1)
    triggers: list[Trigger] = Field(default_factory=list)
    limits: Limits = Field(default_factory=Limits)

    @model_validator(mode="after")
    def _named_once(self) -> "Pipeline":
        named(self.triggers)
        return self
