"""`llmops approve`: what waits for a person, and what the person says."""

from typing import Annotated

import typer


def command(
    run: Annotated[
        str | None,
        typer.Argument(help="The run's id, or `last`; what waits is listed when left out."),
    ] = None,
    stage: Annotated[
        str | None, typer.Argument(help="The stage; the only one that waits when left out.")
    ] = None,
    reject: Annotated[bool, typer.Option("--reject", help="Say no.")] = False,
    note: Annotated[str, typer.Option(metavar="TEXT", help="Why, for the record.")] = "",
    json: Annotated[bool, typer.Option("--json", help="The list as JSON.")] = False,
) -> None:
    """Agree to a run that a trigger asked for, or to a stage that moves an alias; or say no.

    Without a run, lists what waits for a person.

    Example: llmops approve 20261120-193000-town release --note "read the report"
    """
    from dataclasses import asdict

    from llmops.cli.output import print_json, print_table
    from llmops.cli.person import person
    from llmops.runner.approval import Decision
    from llmops.scheduling.approvals import approvals, approve
    from llmops.scheduling.interim import ensure
    from llmops.scheduling.runs import opened

    with opened() as runs:
        if run is not None:
            decision: Decision = "reject" if reject else "approve"
            name = runs.named(run)
            queued = runs.job(name) is not None
            what = approve(runs, name, stage, by=person(), decision=decision, note=note)
            print(f"{decision}: {what}")
            if queued:  # whoever began it at a terminal goes on there
                ensure(runs.settings, runs.database)
            return
        found = approvals(runs)
    if json:
        print_json([asdict(one) for one in found])
        return
    rows = [(one.run, one.stage or "", one.what, one.evidence, one.since) for one in found]
    print_table("", ("run", "stage", "what", "evidence", "since"), rows)
