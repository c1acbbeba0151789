"""What the move of an alias by hand needs, and any move where it is declared.

[aliases.town.production]          # in llmops.toml; `[aliases."*".production]`: of every model
needs = ["experiment", "approval"] # evaluation, experiment, approval; [] lets it move freely
max_age = "30d"                    # of the evidence
recipe = "recipes/eval.yaml"       # that the evaluation must be of
"""

from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from llmops.spec.grammar import Alias, Duration, Spec
from llmops.spec.reference import NAME
from llmops.spec.suggest import did_you_mean

KINDS = ("evaluation", "experiment", "approval")
EVERY = "*"


def _need(text: str) -> str:
    if text not in KINDS:
        raise ValueError(f"`{text}` is nothing that a move needs; {did_you_mean(text, KINDS)}")
    return text


class Policy(Spec):
    """needs: kinds of evidence; `approval` is a person: whoever promotes by hand, or `approval:
    true` in a pipeline. max_age: evidence that is older counts no more. recipe: the file of the
    evaluation, relative to the project."""

    needs: list[Annotated[str, AfterValidator(_need)]] = Field(default_factory=list)
    max_age: Duration | None = None
    recipe: str | None = None

    @model_validator(mode="after")
    def _about_something(self) -> "Policy":
        if self.recipe is not None and "evaluation" not in self.needs:
            raise ValueError('`recipe` says which evaluation; `needs` has no "evaluation"')
        if self.max_age is not None and not {"evaluation", "experiment"} & {*self.needs}:
            raise ValueError("`max_age` is of evidence; `needs` names none")
        return self


BUILT_IN: Mapping[str, Policy] = {
    "candidate": Policy(needs=["evaluation"]),
    "production": Policy(needs=["experiment"]),
}
"""For moves by hand where llmops.toml says nothing. What a pipeline declares comes before it."""

Model = Annotated[str, Field(pattern=rf"^({NAME}|\*)$")]
Policies = dict[Model, dict[Alias, Policy]]
