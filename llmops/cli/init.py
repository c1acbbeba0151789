"""`llmops init`: start a project from the example that the package carries."""

from pathlib import Path
from typing import Annotated

import typer


def command(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A new or an empty directory.")],
) -> None:
    """Copy the starter project (recipes, pipelines, serving, llmops.toml) into DIR.

    Example: llmops init my-model
    """
    from shlex import quote

    from llmops.spec.source import display
    from llmops.starter import copy_starter

    files = copy_starter(directory.absolute())
    pipelines = [file for file in files if file.parts[:-1] == ("pipelines",)]
    print(f"{len(files)} files in {display(directory.absolute())}. Next:")
    print(f"  cd {quote(str(directory))}")
    print("  llmops engines install")
    for pipeline in pipelines[:1]:
        print(f"  llmops plan {pipeline}")
        print(f"  llmops run {pipeline}")
