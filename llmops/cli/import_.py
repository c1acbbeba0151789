"""`llmops import`: a training config of LLaMA-Factory as a recipe."""

from pathlib import Path
from typing import Annotated

import typer


def command(
    config: Annotated[Path, typer.Argument(help="What `llamafactory-cli train` takes.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The recipe; standard output if left out.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="The name of the versions that it will make.")
    ] = None,
    leave_out: Annotated[
        bool, typer.Option("--leave-out", help="Go on without what a recipe cannot carry.")
    ] = False,
) -> None:
    """Turn a training config of LLaMA-Factory into a recipe that compiles to the same options.

    Example: llmops import qwen3_lora_sft.yaml -o recipes/sft.yaml
    """
    from llmops.cli.output import note
    from llmops.engines.llamafactory.importing.recipe import import_config
    from llmops.errors import BadInput
    from llmops.runner.stage import Context
    from llmops.spec.settings import load_settings
    from llmops.spec.source import display
    from llmops.stages.history import planning_environment
    from llmops.store.atomic import write_text

    context = Context(load_settings())
    environment, _ = planning_environment("llamafactory", context)
    if output is not None and output.exists():
        raise BadInput(
            "there is such a file already", where=display(output), fix="name another, or remove it"
        )
    made = import_config(
        config,
        target=output or Path("recipe.yaml"),
        model=model,
        environment=environment,
        cache=context.cache.options,
        leave_out=leave_out,
    )
    for told in made.left_out:
        note(f"left out  {told}")
    for told in made.added:
        note(f"added     {told}")
    for told in made.todo:
        note(f"look at   {told}")
    if environment is None:
        note("look at   llamafactory is not installed: names and values are unchecked")
    if output is None:
        print(made.text, end="")
    else:
        write_text(output, made.text)
        note(f"{display(output)}: `llmops plan {display(output)}` shows what it would do")
