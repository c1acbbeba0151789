"""`llmops doctor`: whether this machine and this project are fit to run, and what to do if not."""

from typing import Annotated

import typer


def command(json: Annotated[bool, typer.Option("--json", help="as JSON")] = False) -> None:
    """Check Python, disk, memory, devices, engines and registry; exit 1 if something is wrong.

    Example: llmops doctor
    """
    from dataclasses import asdict

    from llmops.cli.output import print_json
    from llmops.environments.doctor import diagnose

    findings = []
    for finding in diagnose():
        findings.append(finding)
        if not json:
            print(f"{finding.level:5}  {finding.check}: {finding.what}", flush=True)
            if finding.fix:
                print(f"       -> {finding.fix}", flush=True)
    if json:
        print_json([asdict(finding) for finding in findings])
    if any(finding.level == "error" for finding in findings):
        raise typer.Exit(1)
