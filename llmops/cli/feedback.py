"""`llmops feedback`: what the answers of deployments were, and what people said about them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import sqlalchemy as sa

    from llmops.spec.settings import Settings
    from llmops.store.paths import ProjectPaths

app = typer.Typer(no_args_is_help=True, help="Answers and feedback: look, take away, bring in.")

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
NoIngest = Annotated[
    bool, typer.Option("--no-ingest", help="Leave aside what gateways wrote since the last time.")
]
Deployment = Annotated[str | None, typer.Option(metavar="NAME", help="Only of this deployment.")]
Since = Annotated[
    str | None, typer.Option(metavar="TIME", help="Only from then on: 7d, 24h, or ISO 8601.")
]


@app.command()
def stats(
    deployment: Deployment = None,
    since: Since = None,
    no_ingest: NoIngest = False,
    json: Json = False,
) -> None:
    """Count answers and feedback by deployment, variant, version and source.

    Example: llmops feedback stats --since 7d
    """
    from llmops.cli.feedback_text import STATS, moment, stats_row
    from llmops.cli.output import note, print_json, print_table
    from llmops.feedback.figures import stats

    with _log(no_ingest) as (_, _, database):
        entries = stats(database, deployment=deployment, since=moment(since))
    if json:
        print_json(entries)
    elif entries:
        print_table("", STATS, map(stats_row, entries))
    else:
        note(_EMPTY)


@app.command("list")
def list_(
    deployment: Deployment = None,
    variant: Annotated[str | None, typer.Option(metavar="NAME")] = None,
    version: Annotated[str | None, typer.Option(metavar="NAME:vN")] = None,
    kind: Annotated[str | None, typer.Option(help="thumbs, edit, choice, ...")] = None,
    user: Annotated[str | None, typer.Option(metavar="ID", help="As the application says.")] = None,
    source: Annotated[str | None, typer.Option(help="`real`, or e.g. simulated:town.")] = None,
    since: Since = None,
    answers: Annotated[bool, typer.Option("--answers", help="Answers instead of events.")] = False,
    size: Annotated[int, typer.Option("--limit", "-n", min=1, max=10_000)] = 20,
    after: Annotated[str | None, typer.Option(help="Go on after the page before.")] = None,
    no_ingest: NoIngest = False,
    json: Json = False,
) -> None:
    """List feedback events, or answers, the newest first.

    Example: llmops feedback list --kind edit --since 24h
    """
    from llmops.cli.feedback_text import ANSWERS, EVENTS, answer_row, event_row, moment
    from llmops.cli.output import note, print_json, print_table
    from llmops.feedback import query

    with _log(no_ingest) as (_, paths, database):
        filters = query.Filters(
            deployment, variant, version, kind, _hashed(user, paths), source, moment(since)
        )
        ask = query.answers if answers else query.events
        page = ask(database, filters, after=after, size=size)
    if json:
        print_json({"rows": page.rows, "after": page.after})
        return
    if not page.rows:
        note(_EMPTY if filters == query.Filters() and after is None else "nothing of that kind")
    elif answers:
        print_table("", ANSWERS, map(answer_row, page.rows))
    else:
        print_table("", EVENTS, map(event_row, page.rows))
    if page.after is not None:
        note(f"more: --after '{page.after}'")


@app.command()
def show(
    id: Annotated[str, typer.Argument(metavar="ID", help="Of an answer or an event.")],
    no_ingest: NoIngest = False,
    json: Json = False,
) -> None:
    """Show an answer: what was asked, who answered, what was said about it, what came of it.

    Example: llmops feedback show chatcmpl-06bq3v0rn2k8s6l1c9t5d7g4h0j3m1p8a2e6f0ib
    """
    from llmops.cli.feedback_text import shown_lines
    from llmops.cli.output import print_json
    from llmops.feedback.query import show
    from llmops.lineage.uses import uses

    with _log(no_ingest) as (_, paths, database):
        found = show(database, id)
        ids = [found["id"], *(event["id"] for event in found["events"])]
        found["snapshots"] = [
            {"snapshot": use.snapshot.id, "rows": use.rows, "versions": use.versions}
            for use in uses(ids, paths)
        ]
    if json:
        print_json(found)
    else:
        print("\n".join(shown_lines(found)))


@app.command()
def export(
    target: Annotated[
        Path | None, typer.Argument(help="A file; with Parquet, a directory. Default: stdout.")
    ] = None,
    format: Annotated[str, typer.Option(help="jsonl or parquet")] = "jsonl",
    deployment: Deployment = None,
    since: Since = None,
    no_ingest: NoIngest = False,
) -> None:
    """Write answers and feedback to files. Users are hashed in them.

    Example: llmops feedback export week.jsonl --since 7d
    """
    from llmops.cli.feedback_text import moment
    from llmops.cli.output import note
    from llmops.feedback.exports import export

    with _log(no_ingest) as (_, _, database):
        answers, events = export(
            database,
            target,
            format=format,
            deployment=deployment,
            since=moment(since),
        )
    note(f"{answers} answers, {events} events")


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="JSON lines, as `export` writes them, or less.")],
    deployment: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of lines that do not say it.")
    ] = None,
    source: Annotated[str, typer.Option(help="Of lines that do not say it.")] = "imported",
) -> None:
    """Bring in answers and feedback from elsewhere. What is there already stays as it is.

    Example: llmops feedback import old-log.jsonl --deployment town
    """
    from llmops.feedback.identity import load_identity
    from llmops.feedback.imports import Defaults, import_file

    with _log(no_ingest=True) as (_, paths, database):
        hide = load_identity(paths.secret).user
        new = import_file(database, file, Defaults(deployment, source, hide))
    print(f"{new[0]} answers, {new[1]} events; {new[2]} were there already")


@app.command()
def forget(
    user: Annotated[str, typer.Option(metavar="ID", help="As the application names the user.")],
    json: Json = False,
) -> None:
    """Erase a user's texts for good, and say where else they have been.

    Example: llmops feedback forget --user alice@example.org
    """
    from llmops.cli.feedback_text import forgotten_lines
    from llmops.cli.output import print_json
    from llmops.feedback.erase import forget
    from llmops.feedback.identity import load_identity
    from llmops.lineage.uses import SnapshotEraser

    with _log(no_ingest=False) as (_, paths, database):
        identity = load_identity(paths.secret)
        done = forget(user, paths, database, identity, SnapshotEraser(paths))
    if json:
        print_json(done.record())
    else:
        print("\n".join(forgotten_lines(done)))


@app.command()
def ingest(
    follow: Annotated[bool, typer.Option("--follow", help="Go on until Ctrl-C.")] = False,
    json: Json = False,
) -> None:
    """Move what gateways wrote into the database, and erase what is older than its retention.

    Example: llmops feedback ingest --follow
    """
    from llmops.cli.feedback_text import damaged_lines, ingested_line
    from llmops.cli.output import note, print_json
    from llmops.feedback.keeper import Kept, keep

    def tell(done: Kept) -> None:
        if json:
            print_json(done.record())
        else:
            print(ingested_line(done), flush=True)
        for line in damaged_lines(done.ingested):
            note(line)

    with _log(no_ingest=True) as (settings, paths, database):
        keep(settings, paths, database, tell, follow=follow)


_EMPTY = "nobody has asked anything yet: serve a deployment, or `llmops feedback import FILE`"


@contextmanager
def _log(no_ingest: bool) -> "Iterator[tuple[Settings, ProjectPaths, sa.Engine]]":
    """The project's database, with all that the journal holds."""
    from llmops.cli.feedback_text import damaged_lines
    from llmops.cli.output import note
    from llmops.feedback.ingest import ingest
    from llmops.spec.settings import load_settings
    from llmops.store.database import open_database
    from llmops.store.paths import ProjectPaths

    settings = load_settings()
    paths = ProjectPaths(settings.root)
    database = open_database(settings)
    try:
        if not no_ingest:
            for line in damaged_lines(ingest(paths, database)):
                note(line)
        yield settings, paths, database
    finally:
        database.dispose()


def _hashed(user: str | None, paths: "ProjectPaths") -> str | None:
    from llmops.feedback.identity import load_identity

    return None if user is None else load_identity(paths.secret).user(user)
