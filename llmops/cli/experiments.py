"""`llmops experiments`: versions that share the traffic, and whether one has won."""

from typing import Annotated, Any

import typer

app = typer.Typer(no_args_is_help=True, help="Show what the experiments of deployments say.")

Json = Annotated[bool, typer.Option("--json", help="As JSON.")]


@app.command("list")
def list_(json: Json = False) -> None:
    """List the deployments that compare variants, with what their experiments say now.

    Example: llmops experiments list
    """
    from llmops.cli.output import note, print_json, print_table
    from llmops.experiments.decide import decision
    from llmops.experiments.declared import experiments
    from llmops.experiments.evidence import describe
    from llmops.runner.stage import Context
    from llmops.spec.settings import load_settings

    context = Context(load_settings())
    found = [describe(decision(one, context)) for one in experiments(context.settings)]
    if json:
        print_json(found)
    elif found:
        columns = ("experiment", "control", "candidate", "outcome", "verdict", "why")
        print_table("", columns, [_row(one) for one in found])
    else:
        note("no deployment in serving/ declares an `experiment:`")


def _row(one: dict[str, Any]) -> tuple[str, ...]:
    versions = one.get("versions", {})
    sides = (f"{one[side]} ({versions.get(side, '-')})" for side in ("control", "candidate"))
    return (one["experiment"], *sides, one["outcome"], one["verdict"], one["why"])


@app.command("show")
def show(
    name: Annotated[str, typer.Argument(help="The deployment that declares it.")],
    json: Json = False,
) -> None:
    """Show an experiment: units and outcomes by variant, their intervals, and what they decide.

    The intervals hold however often one looks.

    Example: llmops experiments show town
    """
    from llmops.cli.output import print_json, print_table
    from llmops.experiments.decide import decide
    from llmops.experiments.evidence import describe
    from llmops.experiments.report import VARIANT_COLUMNS, facts, variant_row
    from llmops.runner.stage import Context
    from llmops.spec.settings import load_settings

    found = describe(decide(name, Context(load_settings())))
    if json:
        print_json(found)
        return
    print("\n".join(facts(found)))
    if found["variants"]:
        print_table("", VARIANT_COLUMNS, [variant_row(side) for side in found["variants"]])
