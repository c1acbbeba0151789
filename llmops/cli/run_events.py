"""What changes in a run, as lines."""

import json as json_
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llmops.runner.observe import Change


def event_lines(change: "Change", *, json: bool) -> Iterator[str]:
    """One line for each stage that changed, reading and line of a log."""
    if json:
        yield json_.dumps({"event": change.event, **change.data}, ensure_ascii=False)
        return
    data, stage = change.data, change.data.get("stage", "")
    if change.event == "stage":
        why = f": {data['error']}" if data["error"] else ""
        yield f"{data['name']}: {data['state']}{why}"
    elif change.event == "metrics":
        yield from (f"{stage}: {_figures(item)}" for item in data["items"])
    elif change.event == "log":
        # Progress bars are reduced to their last state.
        lines = (line.rsplit("\r", 1)[-1].rstrip() for line in data["text"].splitlines())
        yield from (f"{stage}| {line}" for line in lines if line)
    else:
        yield data["state"]


def _figures(item: dict[str, Any]) -> str:
    names = ("loss", "learning_rate", "accuracy", "eval_loss", "tokens_per_s")
    shown = [f"{name} {item[name]:.4g}" for name in names if item[name] is not None]
    return f"step {item['step']}/{item['total']} {' '.join(shown)}".rstrip()
