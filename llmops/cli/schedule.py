"""`llmops schedule`: what starts by itself, when, and what held it back."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from llmops.cli.person import person

if TYPE_CHECKING:
    from llmops.scheduling.schedules import Schedules

app = typer.Typer(no_args_is_help=True, help="Show and steer what pipelines start by themselves.")

Json = Annotated[bool, typer.Option("--json", help="As JSON.")]
Id = Annotated[str, typer.Argument(metavar="TRIGGER", help="PIPELINE/NAME, as in the list.")]
Why = Annotated[str, typer.Option("--why", help="For whoever wonders later.")]


@app.command("list")
def list_(json: Json = False) -> None:
    """List the triggers of this project: when they fire next, and what they did last.

    Example: llmops schedule list
    """
    from llmops.cli.output import note, print_json, print_table

    with _schedules() as schedules:
        found = schedules.list()
    if json:
        print_json(found)
        return
    for problem in found["problems"]:
        note(problem)
    if found["halted"]:
        note(f"halted by {found['halted']['by']}: {found['halted']['why']}".rstrip(": "))
    if found["items"]:
        columns = ("trigger", "when", "next", "state", "last")
        print_table("", columns, [_row(one) for one in found["items"]])
    else:
        note("no pipeline in pipelines/ declares `triggers:`")


def _row(one: dict[str, Any]) -> tuple[str, ...]:
    declared, pairs, last = one["declared"], one["pairs"], one["last"]
    state = "gone" if one["gone"] else "paused" if one["paused"] else "on"
    when = declared.get("cron") or declared.get("every") or one["kind"]
    if "timezone" in declared:
        when += f" ({declared['timezone']})"
    due = one["next_at"] or "-"
    if pairs:
        have = "?" if pairs["have"] is None else pairs["have"]
        due = f"{have} of {pairs['need']} new pairs"
    said = f"{last['outcome']} {last['due']}: {last['job'] or last['reason']}" if last else "never"
    why = one["gone"] or one["paused"] or {}
    reason = why.get("reason") or why.get("why") or ""
    return one["id"], when, due, f"{state}: {reason}" if reason else state, said


@app.command("next")
def next_(
    trigger: Id,
    count: Annotated[int, typer.Option("--count", "-n", min=1, max=1000, help="How many.")] = 5,
    json: Json = False,
) -> None:
    """Show the next times of a trigger, in UTC.

    Example: llmops schedule next town/cron
    """
    from llmops.cli.output import note, print_json

    with _schedules() as schedules:
        found = schedules.next_times(trigger, count)
    if json:
        print_json(found)
        return
    print("\n".join(found["times"]))
    if found["reason"]:
        note(found["reason"])


@app.command("run")
def run(trigger: Id) -> None:
    """Start its pipeline now, as the trigger would; no limit holds back what a person asks for.

    The run is queued: `llmops control` or `llmops scheduler` carries it out.

    Example: llmops schedule run town/cron
    """
    from llmops.cli.output import note

    with _schedules() as schedules:
        found = schedules.run_now(trigger, person())
    print(found["job"])
    note("queued; a scheduler (`llmops control` or `llmops scheduler`) starts it")


@app.command("pause")
def pause(trigger: Id, why: Why = "") -> None:
    """Let a trigger fire nothing until it is resumed; what it would have is in its history.

    Example: llmops schedule pause town/cron --why "new labels come on Monday"
    """
    with _schedules() as schedules:
        schedules.pause(trigger, person(), why)
    print(f"{trigger} is paused")


@app.command("resume")
def resume(trigger: Id) -> None:
    """Let a paused trigger fire again, from its next time on.

    Example: llmops schedule resume town/cron
    """
    with _schedules() as schedules:
        schedules.resume(trigger, person())
    print(f"{trigger} fires again")


@app.command("history")
def history(
    trigger: Annotated[
        str | None, typer.Argument(metavar="TRIGGER", help="PIPELINE/NAME; all when left out.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="How many.")] = 20,
    json: Json = False,
) -> None:
    """List what triggers did, the newest first: runs that they started, and what was skipped, why.

    Example: llmops schedule history town/cron
    """
    from llmops.cli.output import note, print_json, print_table

    with _schedules() as schedules:
        found = schedules.history(trigger, limit)
    if json:
        print_json(found["items"])
    elif found["items"]:
        from llmops.scheduling.history import COLUMNS, row_of

        print_table("", COLUMNS, [row_of(one) for one in found["items"]])
    else:
        note("nothing has fired yet")


@app.command("halt")
def halt(
    why: Why = "",
    stop_runs: Annotated[
        bool, typer.Option("--stop-runs", help="Stop the runs that are under way, too.")
    ] = False,
) -> None:
    """Stop everything from starting by itself: triggers and queued runs, on all schedulers.

    Example: llmops schedule halt --why "the disk is full"
    """
    with _schedules() as schedules:
        found = schedules.halt(person(), why, stop_runs)
    print(f"halted by {found['halted']['by']}; `llmops schedule unhalt` ends it")
    for stopped in found["stopped"]:
        print(f"stopping {stopped}")


@app.command("unhalt")
def unhalt() -> None:
    """End a halt: what is due and what is queued starts again.

    Example: llmops schedule unhalt
    """
    with _schedules() as schedules:
        found = schedules.unhalt(person())
    print("starting again" if found["was"] else "nothing was halted")


@contextmanager
def _schedules() -> Iterator["Schedules"]:
    from llmops.scheduling.schedules import Schedules
    from llmops.spec.settings import load_settings
    from llmops.store.database import open_database

    settings = load_settings()
    database = open_database(settings)
    try:
        yield Schedules(settings, database)
    finally:
        database.dispose()
