"""`llmops status`: what of the project runs."""

from typing import Annotated

import typer


def command(json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False) -> None:
    """Show what runs of this project: its parts, its deployments, its runs.

    Example: llmops status
    """
    from llmops.cli.output import note, print_json, print_table
    from llmops.spec.settings import load_settings
    from llmops.up.status import status

    found = status(load_settings())
    if json:
        print_json(found)
        return
    if not (found["parts"] or found["deployments"] or found["runs"]):
        note("nothing of this project runs: `llmops up` starts it")
        return
    rows = [
        (
            p["name"],
            ": ".join(filter(None, (p["state"], p["detail"]))),
            p["url"],
            str(p["pid"] or ""),
        )
        for p in found["parts"]
    ]
    for state in found["deployments"]:
        variants = ", ".join(f"{name} {version}" for name, version in state["variants"].items())
        where = f"unix:{state['uds']}" if state["uds"] else state["url"]
        told = f"{state['status']}: {variants}" if variants else state["status"]
        rows.append((f"deployment {state['name']}", told, where, str(state["pid"])))
    for run in found["runs"]:
        told = f"{run['state']}: {run['stage']}" if run["stage"] else run["state"]
        rows.append((f"run {run['id']}", told, run["target"], ""))
    print_table("", ("what", "state", "where", "process"), rows)
