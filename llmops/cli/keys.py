"""`llmops keys`: the API keys with which clients may use a gateway, or the control API."""

from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Create, list and revoke API keys of the gateways.")

Json = Annotated[bool, typer.Option("--json", help="As JSON.")]


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Whose key it is.")],
    scope: Annotated[
        list[str],
        typer.Option(
            metavar="SCOPE",
            help="chat, read, run, promote, override, push, delete or admin; of one model: "
            "promote:NAME, ...; may be given repeatedly.",
        ),
    ] = ["chat"],  # noqa: B006
    json: Json = False,
) -> None:
    """Make a key and print it, this once: only its hash is kept.

    Example: llmops keys create web-app --scope chat
    """
    from llmops.cli.output import note, print_json
    from llmops.feedback.keys import create_key
    from llmops.spec.settings import load_settings
    from llmops.store.paths import ProjectPaths

    key = create_key(ProjectPaths(load_settings().root), name, scope)
    if json:
        print_json({"name": name, "scopes": scope, "key": key})
        return
    print(key)
    note(f"the key of {name}, for {', '.join(scope)}; it cannot be shown again")


@app.command("list")
def list_(json: Json = False) -> None:
    """List the keys, revoked ones too, without their secrets.

    Example: llmops keys list
    """
    from llmops.cli.output import note, print_json, print_table
    from llmops.feedback.keys import list_keys
    from llmops.spec.settings import load_settings
    from llmops.store.paths import ProjectPaths

    keys = list_keys(ProjectPaths(load_settings().root))
    if json:
        print_json([key.model_dump(exclude={"hash"}) for key in keys])
    elif keys:
        rows = [(key.name, ", ".join(key.scopes), key.created, key.revoked or "") for key in keys]
        print_table("", ("name", "scopes", "created", "revoked"), rows)
    else:
        note("no keys yet: `llmops keys create NAME`")


@app.command()
def revoke(name: Annotated[str, typer.Argument(help="The key's name.")]) -> None:
    """End a key; gateways that run refuse it from their next request on.

    Example: llmops keys revoke web-app
    """
    from llmops.cli.output import note
    from llmops.feedback.keys import revoke_key
    from llmops.spec.settings import load_settings
    from llmops.store.paths import ProjectPaths

    key = revoke_key(ProjectPaths(load_settings().root), name)
    note(f"{key.name} is revoked")
