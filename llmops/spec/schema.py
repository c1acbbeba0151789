"""The grammars as JSON Schema, so that editors complete and check declarations.

A value that the loader computes (`${...}`) is checked after it is resolved, not by the schema.
"""

from typing import Any

from llmops.errors import BadInput
from llmops.spec.load import MODELS
from llmops.spec.recipe import recipe_schema
from llmops.spec.suggest import did_you_mean

DIALECT = "https://json-schema.org/draft/2020-12/schema"
KINDS = ("recipe", *MODELS)


def schema_of(kind: str) -> dict[str, Any]:
    """JSON Schema (2020-12) of a `recipe`, a `pipeline`, a `deployment` or a `suite`.

    Raises BadInput for any other kind.
    """
    if kind not in KINDS:
        raise BadInput(f"`{kind}` has no schema", fix=did_you_mean(kind, KINDS))
    schema = recipe_schema() if kind == "recipe" else MODELS[kind].model_json_schema()
    return {"$schema": DIALECT, **schema, "title": f"llmops {kind}"}
