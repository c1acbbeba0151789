"""`llmops serve`: serve a deployment until it is told to stop."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from llmops.serving.plan import ServingPlan
    from llmops.serving.supervisor import Supervisor


def command(
    deployment: Annotated[Path, typer.Argument(help="A deployment, e.g. serving/town.yaml.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="key=value, e.g. backend.args.max_model_len=256")
    ] = None,
    port: Annotated[
        int | None, typer.Option("--port", help="Listen there instead (0: any free port).")
    ] = None,
    plan: Annotated[
        bool, typer.Option("--plan", help="Show what would be served, start nothing.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="With --plan: as JSON.")] = False,
) -> None:
    """Serve the variants of a deployment side by side: vLLM, and a gateway in front of it.

    What it names of the Hugging Face Hub and is not here is downloaded first. Every version is
    copied, verified and compared with its golden prompts before it is ready.
    When an alias moves, traffic follows without a lost request. Ctrl-C stops it and all that it
    started.

    Example: llmops serve serving/town.yaml
    """
    from llmops.cli.copying import copying
    from llmops.cli.output import note
    from llmops.registry.hub.transfer import with_downloads
    from llmops.serving.serve import serve
    from llmops.serving.supervisor import prepare
    from llmops.spec.load import load_deployment
    from llmops.spec.settings import load_settings

    given = list(overrides or [])
    if port is not None:
        given.append(f"listen.port={port}")
    settings = load_settings()
    loaded = load_deployment(deployment, given)
    if plan:
        _print_plan(prepare(loaded, settings), as_json=json)
        return
    with copying("downloaded") as progress:
        planned = with_downloads(lambda: prepare(loaded, settings), progress)
    serve(planned, settings, report=note, on_ready=print_ready)


def _print_plan(plan: "ServingPlan", *, as_json: bool) -> None:
    from llmops.cli.output import note, print_json, print_table
    from llmops.serving.describe import describe

    shown = describe(plan)
    if as_json:
        print_json(shown)
        return
    on = f" on {shown['base']}" if shown["base"] else ""
    keys = ", for clients with a key" if shown["keys"] else ""
    print(f"{shown['deployment']}: {shown['backend']}{on}, gateway at {shown['listen']}{keys}")
    print_table(
        "",
        ("variant", "version", "kind", "base", "share", "golden prompts"),
        [
            (
                row["variant"],
                row["version"] or f"waits for {row['waits_for']}",
                row["kind"] or "",
                row["base"] or "",
                f"{row['share']:.0%}",
                str(row["golden_prompts"]),
            )
            for row in shown["variants"]
        ],
    )
    for line in shown["while_serving"]:
        print(line)
    for warning in shown["warnings"]:
        note(f"warning: {warning}")


def print_ready(server: "Supervisor") -> None:
    """What one needs to know to use it."""
    import json
    import shlex

    from llmops.cli.output import note, print_table
    from llmops.spec.source import display

    print(f"{server.plan.name} is ready at {server.endpoint}", flush=True)
    print_table("", ("variant", "version"), server.variants.items())
    body = {"model": server.plan.name, "messages": [{"role": "user", "content": "Hello"}]}
    reach = ["--unix-socket", server.endpoint.uds] if server.endpoint.uds else []
    url = f"{server.endpoint.url}/v1/chat/completions"
    key = [] if server.plan.listen.is_private else ["-H", "Authorization: Bearer KEY"]
    typed = ["-H", "Content-Type: application/json"]
    curl = ["curl", *reach, url, *typed, *key, "-d", json.dumps(body)]
    note(f"try:  {shlex.join(curl)}")
    note(f"or:   llmops chat {display(server.plan.file)}\nCtrl-C stops it")
