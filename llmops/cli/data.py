"""`llmops data`: what training will see of the data."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(help="What training will see of the data.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keeps `show` a command of its own."""


@app.command()
def show(
    target: Annotated[Path, typer.Argument(help="A recipe that trains, or a pipeline.")],
    overrides: Annotated[list[str] | None, typer.Argument(help="KEY=VALUE")] = None,
    number: Annotated[int, typer.Option("-n", min=0, help="How many samples.")] = 3,
    stage: Annotated[str, typer.Option(help="Of a pipeline: which stage.")] = "",
    json: Annotated[bool, typer.Option("--json", help="Everything, as JSON.")] = False,
) -> None:
    """Show samples as the engine makes them: text, token ids, what is trained on, what is cut.

    Example: llmops data show recipes/sft.yaml -n 2
    """
    from llmops.cli.output import print_json
    from llmops.runner.stage import Context
    from llmops.spec.settings import load_settings
    from llmops.stages.samples import samples

    context = Context(load_settings())
    found = samples(target, overrides or [], context=context, stage=stage, count=number)
    if json:
        print_json(found)
        return
    print(_summary(found))
    for position, parts in enumerate(found["samples"], 1):
        for part in parts:
            print("\n".join(_part(part, position)))


def _summary(found: Mapping[str, Any]) -> str:
    rows, tokens = found["rows"], found["tokens"]
    share = found["cut"] / rows if rows else 0.0
    lines = [
        f"{found['name']}: the first {rows:,} rows, {tokens:,} tokens, of which "
        f"{found['trained']:,} are trained on; the longest has {found['longest']:,}",
        f"{found['cut']:,} ({share:.1%}) are longer than cutoff_len {found['cutoff']:,} and are cut"
        if found["cut"]
        else f"none is longer than cutoff_len {found['cutoff']:,}",
    ]
    if found["packed"]:
        lines.append(f"packed into {found['samples_made']:,} samples of {found['cutoff']:,} tokens")
    return "\n".join(lines)


def _part(part: Mapping[str, Any], position: int) -> list[str]:
    name = f", {part['name']}" if part["name"] else ""
    length = sum(len(run["ids"]) for run in part["segments"])
    cut = f", and {part['cut']:,} were cut off" if part["cut"] else ""
    lines = ["", f"sample {position}{name}: {length:,} tokens{cut}"]
    for run in part["segments"]:
        mark = "trained" if run["trained"] else "masked "
        lines.append(_coloured(f"  {mark}  {run['text']!r}", run["trained"]))
        lines.append(f"           {' '.join(map(str, run['ids']))}")
    return lines


def _coloured(line: str, trained: bool) -> str:
    """What is trained on in green, the rest dim, where a terminal shows it."""
    if not sys.stdout.isatty():
        return line
    return f"\x1b[{'32' if trained else '2'}m{line}\x1b[0m"
