"""The grammars as JSON Schema, so that editors complete and check declarations.

A value that the loader computes (`${...}`) is checked after it is resolved, not by the schema.
"""

from typing import Any

from llmops.errors import BadInput
from llmops.spec.suggest import did_you_mean

DIALECT = "https://json-schema.org/draft/2020-12/schema"
KINDS = ("recipe", "pipeline", "deployment", "suite")


def schema_of(kind: str) -> dict[str, Any]:
    """JSON Schema (2020-12) of a `recipe`, a `pipeline`, a `deployment` or a `suite`.

    Raises BadInput for any other kind.
    """
    return {"$schema": DIALECT, "title": f"llmops {kind}", **_body(kind)}


def _body(kind: str) -> dict[str, Any]:
    match kind:
        case "recipe":
            from llmops.spec.recipe import recipe_schema

            schema = recipe_schema()
        case "pipeline":
            from llmops.spec.pipeline import Pipeline

            schema = Pipeline.model_json_schema()
        case "deployment":
            from llmops.spec.deployment import Deployment

            schema = Deployment.model_json_schema()
        case "suite":
            from llmops.spec.suite import Suite

            schema = Suite.model_json_schema()
        case _:
            raise BadInput(f"`{kind}` has no schema", fix=did_you_mean(kind, KINDS))
    schema.pop("title", None)
    return schema
