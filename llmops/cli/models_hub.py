"""`llmops models push | pull | outbox`: versions to a Hugging Face Hub repository, and from it."""

from typing import Annotated

import typer

from llmops.cli.opened import opened_registry

app = typer.Typer()
outbox = typer.Typer(no_args_is_help=True, help="Pushes that wait for the Hub.")
app.add_typer(outbox, name="outbox")
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def push(
    version: Annotated[
        str, typer.Argument(metavar="NAME[:vN|@ALIAS]", help="Of a NAME: the newest.")
    ],
    to: Annotated[
        str | None, typer.Option(metavar="ORG/REPO", help="Default: as llmops.toml declares it.")
    ] = None,
    public: Annotated[
        bool, typer.Option("--public", help="A repository that it makes is public; else private.")
    ] = False,
    all_: Annotated[bool, typer.Option("--all", help="All versions of NAME.")] = False,
    later: Annotated[
        bool, typer.Option("--later", help="Put it into the outbox, without asking the Hub.")
    ] = False,
) -> None:
    """Bring a version to its Hub repository, as the tag vN, with the records of its model.

    Example: llmops models push town@production
    """
    from llmops.cli.output import note
    from llmops.registry.remote.outbox import Outbox, push_or_keep
    from llmops.registry.remote.place import chosen, repository_of
    from llmops.spec.settings import load_settings

    registry = opened_registry()
    versions = chosen(version, registry, every=all_)
    repository = repository_of(versions[0].name, load_settings(), to)
    if later:
        for one in versions:
            print(Outbox(registry).put(one, repository, public=public).id)
        return
    for done in push_or_keep(versions, repository, registry, public=public, say=note):
        print(f"{done.version} {'is' if done.new else 'was already'} at {repository}")


@app.command()
def pull(
    version: Annotated[
        str, typer.Argument(metavar="NAME[:vN|@ALIAS]", help="Of a NAME: the newest there.")
    ],
    from_: Annotated[
        str | None,
        typer.Option("--from", metavar="ORG/REPO", help="Default: as llmops.toml declares it."),
    ] = None,
    aliases: Annotated[
        bool, typer.Option("--aliases", help="Aliases that name it there name it here, too.")
    ] = False,
) -> None:
    """Bring a version from a Hub repository into the registry, under the number it has there.

    Example: llmops models pull town@production --from acme/town
    """
    from llmops.cli.copying import copying
    from llmops.cli.output import note
    from llmops.registry.remote.place import repository_of
    from llmops.registry.remote.pull import pull
    from llmops.spec.settings import load_settings

    settings = load_settings()
    repository = repository_of(version.partition(":")[0].partition("@")[0], settings, from_)
    with copying() as progress:
        done = pull(
            version,
            repository,
            opened_registry(),
            settings,
            aliases=aliases,
            progress=progress,
            say=note,
        )
    print(f"{done.version} {'is' if done.new else 'was already'} here")
    if done.aliases and not aliases:
        note(f"{repository} calls it {', '.join(done.aliases)}; --aliases takes that over")


@outbox.command("list")
def list_(json: Json = False) -> None:
    """Show what waits, the oldest first.

    Example: llmops models outbox list
    """
    from llmops.cli.output import note, print_json, print_table
    from llmops.registry.remote.outbox import Outbox

    found = Outbox(opened_registry()).waiting()
    if json:
        print_json([one.model_dump() for one in found])
    elif found:
        columns = ("push", "version", "to", "since", "tries", "next", "error")
        rows = [
            (
                *(one.id, one.version, one.repository, _minute(one.time), str(one.tries)),
                _minute(one.due) if one.due else "by `outbox send`",
                one.error or "-",
            )
            for one in found
        ]
        print_table("", columns, rows)
    else:
        note("nothing waits")


@outbox.command()
def send(
    push: Annotated[str | None, typer.Argument(help="Default: all, due or not.")] = None,
) -> None:
    """Push what waits now. Exit code 1 when something waits on.

    Example: llmops models outbox send
    """
    from llmops.registry.remote.outbox import Outbox, send_all

    send_all(Outbox(opened_registry()), push, print)


@outbox.command()
def drop(push: str) -> None:
    """Forget a push that waits. The version stays.

    Example: llmops models outbox drop town-v3-1f2e3d4c
    """
    from llmops.registry.remote.outbox import Outbox

    Outbox(opened_registry()).drop(push)


def _minute(time: str) -> str:
    return time[:16].replace("T", " ")
