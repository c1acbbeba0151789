"""The kill switch: keeps everything from starting by itself until somebody ends it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from llmops.ui.button import act
from llmops.ui.client import Problem
from llmops.ui.figure import ago
from llmops.ui.markup import Html, tag
from llmops.ui.panel import trouble

if TYPE_CHECKING:
    from llmops.ui.frame import Ask

_STILL = "No schedule fires and no queued run begins until the halt is ended."


def switch(halted: Mapping[str, Any] | None) -> Html:
    """What it is set to, and its buttons."""
    if halted is not None:
        why = f": {halted['why']}" if halted.get("why") else "."
        told = Problem(
            f"Halted by {halted['by']} {ago(halted['since'])}{why}",
            fix="Nothing starts by itself, and no queued run begins.",
        )
        question = "Let schedules fire and queued runs begin again?"
        back = act("End the halt", "unhalt", kind="primary", confirm=question)
        return tag(
            "div", trouble(told), tag("div", back, class_="ll-row ll-end"), class_="ll-stack"
        )
    stop = act(
        "Halt everything…",
        "halt",
        confirm=f"Halt everything? {_STILL} What runs goes on.",
        why="Why?",
        kind="danger",
    )
    also = act(
        "Halt and stop runs…",
        "halt_and_stop",
        confirm=f"Halt everything and stop what runs? {_STILL} Stopped runs can be resumed.",
        why="Why?",
        kind="danger",
    )
    return tag("div", stop, also, class_="ll-actions")


async def halt(ask: "Ask") -> None:
    await _halt(ask, stop_runs=False)


async def halt_and_stop(ask: "Ask") -> None:
    await _halt(ask, stop_runs=True)


async def unhalt(ask: "Ask") -> None:
    await ask.api.post("/schedules/unhalt")
    ask.say("The halt is over: schedules fire, and queued runs begin.")
    ask.go(**ask.query)


async def _halt(ask: "Ask", *, stop_runs: bool) -> None:
    done = await ask.api.post("/schedules/halt", {"why": ask.why, "stop_runs": stop_runs})
    stopped = done.get("stopped") or []
    told = f" Told to stop: {', '.join(stopped)}." if stopped else ""
    ask.say(tag("strong", "Everything is halted."), told)
    ask.go(**ask.query)
