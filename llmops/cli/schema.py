"""`llmops schema`: the grammar of a declaration, for editors."""

from typing import Annotated

import typer


def command(
    kind: Annotated[
        str, typer.Argument(metavar="recipe|pipeline|deployment|suite", help="Which grammar.")
    ],
) -> None:
    """Print the JSON Schema of a recipe, a pipeline, a deployment or a suite.

    Example: llmops schema recipe > recipe.schema.json

    An editor with a YAML language server completes and checks a file that begins with:
    # yaml-language-server: $schema=recipe.schema.json
    """
    from llmops.cli.output import print_json
    from llmops.spec.schema import schema_of

    print_json(schema_of(kind))
