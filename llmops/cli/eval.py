"""`llmops eval`: suites asked of versions, their reports, and bad answers made test items."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    no_args_is_help=True, help="Evaluate versions, read the reports, add bad answers to suites."
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def run(
    suite: Annotated[Path, typer.Argument(help="A suite, such as suites/town.yaml.")],
    model: Annotated[str, typer.Option(metavar="REF", help="NAME:vN or NAME@ALIAS.")],
    through: Annotated[Path, typer.Option(metavar="DEPLOYMENT", help="What answers.")],
    baseline: Annotated[
        str | None, typer.Option(metavar="REF", help="A version to compare it with.")
    ] = None,
    max_tokens: Annotated[int, typer.Option(min=1, help="Longest answer, in tokens.")] = 256,
    json: Json = False,
) -> None:
    """Ask a version a suite, and print what came of it. For a gate, write a recipe.

    Example: llmops eval run suites/town.yaml --model town@candidate --through serving/town.yaml
    """
    from llmops.cli.output import print_json
    from llmops.evaluation.history import report_of
    from llmops.evaluation.report import lines
    from llmops.runner.progress import reporter
    from llmops.runner.stage import Context
    from llmops.spec.settings import load_settings
    from llmops.stages.evaluate import evaluate_now

    context = Context(load_settings())
    recipe = {
        "kind": "evaluate",
        "model": model,
        "baseline": baseline,
        "suites": [str(suite)],
        "through": str(through),
        "sampling": {"max_tokens": max_tokens},
    }
    shown = reporter()
    shown.begin("by hand", ["eval"])
    try:
        shown.started("eval", f"{model} by {suite}", ())
        evidence = evaluate_now(recipe, context, lambda now: shown.progress("eval", now))
        shown.done("eval", evidence.id)
    finally:
        shown.end()
    report = report_of(evidence, context.settings.root)
    if json:
        print_json(report)
    else:
        print("\n".join(lines(report)))


@app.command("list")
def list_(json: Json = False) -> None:
    """List all evaluations, the newest last.

    Example: llmops eval list
    """
    from llmops.cli.output import note, print_json, print_table
    from llmops.evaluation.history import COLUMNS, evaluations, row
    from llmops.registry.store import Registry
    from llmops.spec.settings import load_settings
    from llmops.store.paths import ProjectPaths

    paths = ProjectPaths(load_settings().root)
    found = evaluations(Registry(paths), paths)
    if json:
        print_json([one.model_dump() for one in found])
    elif found:
        print_table("", COLUMNS, [row(one) for one in found])
    else:
        note("no evaluations yet: llmops run RECIPE, or llmops eval run SUITE")


@app.command()
def show(
    evaluation: Annotated[
        str, typer.Argument(metavar="ID|VERSION", help="Of a version: its newest evaluation.")
    ],
    items: Annotated[
        bool, typer.Option("--items", help="Also every item with its answers.")
    ] = False,
    json: Json = False,
) -> None:
    """Show the report of an evaluation: each metric with its interval, and the gate.

    Example: llmops eval show town@candidate --items
    """
    from llmops.cli.output import print_json
    from llmops.evaluation.history import find, report_file, report_of
    from llmops.evaluation.report import item_lines, lines, read_items
    from llmops.registry.store import Registry
    from llmops.spec.settings import load_settings
    from llmops.store.paths import ProjectPaths

    root = load_settings().root
    evidence = find(evaluation, Registry(ProjectPaths(root)), ProjectPaths(root))
    report = report_of(evidence, root)
    answers = read_items(report_file(evidence, root)) if items else []
    if json:
        print_json({**report, "items": answers} if items else report)
    else:
        print("\n".join([*lines(report), *item_lines(answers)]))


@app.command()
def add(
    inference: Annotated[str, typer.Argument(metavar="ID", help="The id of a logged answer.")],
    suite: Annotated[Path, typer.Argument(help="The suite that gets the item.")],
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="FIELD=VALUE", help="What the suite's checks ask for."),
    ] = None,
) -> None:
    """Make a bad answer from the log a test item: its prompt, and what would have been right.

    What a user wrote instead of it, if anybody did, becomes the item's `answer`.

    Example: llmops eval add ID suites/town.yaml --set answer=Wend --set 'others=[Sill]'
    """
    from llmops.evaluation.additions import add_item, bad_answer, fields_of
    from llmops.feedback.ingest import fresh
    from llmops.feedback.query import show
    from llmops.spec.settings import load_settings
    from llmops.spec.source import display
    from llmops.store.paths import ProjectPaths

    settings = load_settings()
    given = fields_of(set_ or [])
    database = fresh(settings, ProjectPaths(settings.root))
    try:
        row = bad_answer(show(database, inference), given)
    finally:
        database.dispose()
    print(f"{display(add_item(suite, settings.root, row))}: {row['id']}")
