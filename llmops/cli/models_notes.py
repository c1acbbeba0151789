"""`llmops models tag | note`: what people say of a version, beside it."""

from typing import Annotated

import typer

from llmops.cli.opened import opened_registry
from llmops.cli.person import name_of_person

app = typer.Typer()
Version = Annotated[str, typer.Argument(metavar="NAME:vN", help="Or NAME@ALIAS.")]


@app.command()
def tag(
    version: Version,
    tags: Annotated[list[str], typer.Argument(metavar="KEY[=VALUE]...")],
    remove: Annotated[bool, typer.Option("--remove", help="Take these away.")] = False,
) -> None:
    """Set tags of a version, or take them away. Both are recorded; the version stays as it is.

    Example: llmops models tag town:v3 reviewed language=fr
    """
    from llmops.registry.notes import Notes, parse_tags, tags_text

    registry = opened_registry()
    target, given = registry.resolve(version).id, parse_tags(tags)
    notes = Notes(registry.paths)
    if remove:
        notes.untag(target, [*given], by=name_of_person())
    else:
        notes.tag(target, given, by=name_of_person())
    print(f"{target}: {tags_text(notes.tags(target.name)[str(target)]) or 'no tags'}")


@app.command()
def note(
    version: Version,
    text: Annotated[str, typer.Argument(help="What there is to say of it.")],
) -> None:
    """Write a note about a version. `llmops models show` has it, with its time and author.

    Example: llmops models note town:v3 "answers in French"
    """
    from llmops.registry.notes import Notes

    registry = opened_registry()
    Notes(registry.paths).note(registry.resolve(version).id, text, by=name_of_person())
