"""The grammar of a pipeline: a graph of stages."""

from typing import Any

from pydantic import Field, model_validator

from llmops.spec.grammar import ModelRef, Name, Spec


class PipelineStage(Spec):
    """One stage: a recipe to run, or an alias to move.

    {recipe: recipes/cpt.yaml, base: "stage:base", set: {args.max_steps: 10}}
    {promote: "stage:sft", to: production}
    """

    recipe: str | None = None
    base: ModelRef | None = Field(None, description="overrides the recipe's own base")
    set: dict[str, Any] = Field(default_factory=dict, description="overrides, by dotted key")
    promote: ModelRef | None = None
    to: Name | None = Field(None, description="the alias that moves")

    @model_validator(mode="after")
    def _one_of(self) -> "PipelineStage":
        if (self.recipe is None) == (self.promote is None):
            raise ValueError("a stage has either `recipe` or `promote`")
        if self.promote is not None and self.to is None:
            raise ValueError("`promote` needs `to`: the alias that moves")
        if self.promote is not None and (self.base is not None or self.set):
            raise ValueError("`base` and `set` belong to a stage with a `recipe`")
        if self.recipe is not None and self.to is not None:
            raise ValueError("`to` belongs to a stage with `promote`")
        return self


class Pipeline(Spec):
    """A named graph of stages; a stage runs after those that it refers to."""

    name: Name
    stages: dict[Name, PipelineStage] = Field(min_length=1)
