"""What changes in a run, as lines, until it ends."""

import json as json_
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llmops.runner.observe import Change
    from llmops.scheduling.runs import Runs


def follow_events(runs: "Runs", run: str, *, json: bool) -> int:
    """Print all that changes; the exit code, as of the run."""
    from llmops.scheduling.following import EXIT_CODES, followed

    state = ""
    for change in followed(runs, run):
        state = str(change.data.get("state"))
        for line in event_lines(change, json=json):
            print(line, flush=True)
    return EXIT_CODES.get(state, 1)


def follow_logs(runs: "Runs", run: str, stage: str | None) -> int:
    """Print what is logged, of one stage or of all, and to stderr what becomes of the run."""
    from llmops.cli.output import note
    from llmops.scheduling.following import EXIT_CODES, followed

    state = ""
    for change in followed(runs, run):
        state = str(change.data.get("state"))
        if change.event == "log":
            if stage in (None, change.data["stage"]):
                print(change.data["text"], end="", flush=True)
        elif change.event != "metrics":
            for line in event_lines(change, json=False):
                note(line)
    return EXIT_CODES.get(state, 1)


def event_lines(change: "Change", *, json: bool) -> Iterator[str]:
    """One line for each stage that changed, reading and line of a log."""
    if json:
        yield json_.dumps({"event": change.event, **change.data}, ensure_ascii=False)
        return
    data, stage = change.data, change.data.get("stage", "")
    if change.event == "stage":
        why = f": {data['error']}" if data["error"] else ""
        yield f"{data['name']}: {data['state']}{why}"
    elif change.event == "alarm":
        yield f"{stage}: step {data['step']}: {data['kind']}: {data['text']} ({data['reaction']})"
    elif change.event == "metrics":
        yield from (f"{stage}: {_figures(item)}" for item in data["items"])
    elif change.event == "log":
        # Progress bars are reduced to their last state.
        lines = (line.rsplit("\r", 1)[-1].rstrip() for line in data["text"].splitlines())
        yield from (f"{stage}| {line}" for line in lines if line)
    elif change.event == "queue":
        place = f", place {data['place']}" if data["place"] else ""
        yield f"{data['state']}{place}: {data['why']}"
    else:
        yield data["state"] + (f": {data['error']}" if data.get("error") else "")


def _figures(item: dict[str, Any]) -> str:
    names = ("loss", "learning_rate", "accuracy", "eval_loss", "tokens_per_s")
    shown = [f"{name} {item[name]:.4g}" for name in names if item[name] is not None]
    return f"step {item['step']}/{item['total']} {' '.join(shown)}".rstrip()
