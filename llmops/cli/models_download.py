"""`llmops models download`: what recipes and deployments name of the Hugging Face Hub."""

from typing import Annotated

import typer

app = typer.Typer()


@app.command()
def download(
    reference: Annotated[
        str,
        typer.Argument(metavar="hub:ORG/NAME@REV", help="Or hub:ORG/NAME@REV:FILE, of data."),
    ],
) -> None:
    """Bring a model, or a file of data, from the Hub into the Hugging Face cache.

    A run does it by itself; this is for before, and for what is served. Of a model only safetensors
    and its texts come. What was cut off is gone on with.

    Example: llmops models download hub:Qwen/Qwen3-4B-Instruct-2507
    """
    from functools import partial

    from llmops.cli.copying import copying
    from llmops.registry.hub.cache import parse_hub
    from llmops.registry.hub.client import TRIES
    from llmops.registry.hub.listing import list_with_base
    from llmops.registry.hub.transfer import fetch

    listings = list_with_base(parse_hub(reference), tries=TRIES)
    with copying("downloaded") as progress:
        for one in listings:
            print(f"{one.pinned}  {fetch(one, partial(progress, str(one.asked)))}")
