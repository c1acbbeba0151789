"""`llmops plan`: what a run would do, and why. Reads only."""

from pathlib import Path
from typing import Annotated

import typer

FROM = "Make this stage again, and what comes of it."
UNTIL = "Leave out what this stage does not need."


def command(
    target: Annotated[Path, typer.Argument(help="A recipe or a pipeline.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="KEY=VALUE, e.g. args.learning_rate=1e-3")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Plan as if nothing were up to date.")
    ] = False,
    begin: Annotated[str | None, typer.Option("--from", metavar="STAGE", help=FROM)] = None,
    until: Annotated[str | None, typer.Option("--until", metavar="STAGE", help=UNTIL)] = None,
    config: Annotated[
        bool, typer.Option("--config", help="Also show the compiled engine config.")
    ] = False,
    gpus: Annotated[
        int | None,
        typer.Option(min=0, metavar="N", help="Plan for a machine with N GPUs, not this one."),
    ] = None,
    gpu_memory: Annotated[
        float | None,
        typer.Option(
            min=0.1, metavar="GB", help="What each GPU has, in GiB; of one where this has none."
        ),
    ] = None,
    fit: Annotated[
        bool, typer.Option("--fit", help="Propose the smallest change that fits into memory.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Everything, as JSON.")] = False,
) -> None:
    """Show what would run, what is up to date, what changed, and what it needs.

    Example: llmops plan pipelines/town.yaml
    """
    from llmops.cli.output import print_json
    from llmops.runner.devices import gpus_here
    from llmops.runner.plan import describe, make_plan
    from llmops.runner.plan_text import plan_text
    from llmops.runner.scope import Scope
    from llmops.runner.stage import Context
    from llmops.runner.start import refuse_too_large
    from llmops.spec.settings import load_settings
    from llmops.stages.catalog import KINDS
    from llmops.stages.fit import proposals, proposals_text

    each = None if gpu_memory is None else int(gpu_memory * 2**30)
    if each is not None and gpus is None and not gpus_here():
        gpus = 1
    context = Context(load_settings(), gpus, each)
    scope = Scope(force, begin, until)
    plan = make_plan(target, overrides or [], context=context, kinds=KINDS, scope=scope)
    context.remember()
    if fit:
        found = proposals(plan, overrides or [])
        print_json(found) if json else print(proposals_text(found))
        return
    shown = describe(plan, context)
    print_json(shown) if json else print(plan_text(shown, config=config))
    refuse_too_large(plan)
