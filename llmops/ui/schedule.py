"""One schedule: when it fires next, how far its pairs are, what it did last, its limits, and what a
person can do with it."""

from collections.abc import Mapping, Sequence
from typing import Any

from llmops.ui.button import act
from llmops.ui.figure import ago, moment, number
from llmops.ui.links import to_run, to_schedule
from llmops.ui.markup import Html, joined, link, tag
from llmops.ui.panel import card, empty, facts, warned
from llmops.ui.stamp import stamp
from llmops.ui.state import badge
from llmops.ui.table import href, table
from llmops.ui.when import when

Schedule = Mapping[str, Any]
COLUMNS = ("Schedule", "Fires", "Next", "Last", "")


def schedules_table(schedules: Sequence[Schedule], halted: bool) -> Html:
    """All of them. halted: the kill switch is set."""
    rows = [_row(one, halted) for one in schedules]
    nothing = empty(
        "Nothing starts by itself yet.",
        "A pipeline that declares triggers does: by the calendar, after new pairs, or by a call.",
    )
    return table(COLUMNS, rows, caption="schedules", nothing=nothing)


def schedule_card(one: Schedule, halted: bool) -> Html:
    """What it is and does, with what a person can do."""
    state = _state(one, halted)
    declared: Mapping[str, Any] = one["declared"]
    pairs = [
        ("fires", when(declared)),
        ("pairs", meter(one)),
        ("last", last(one)),
        ("pipeline", link(one["file"], href({"tab": "train", "file": one["file"]}))),
        ("declared as", tag("span", _declared(declared), class_="ll-mono")),
        ("missed times", _CATCH_UP.get(str(declared.get("catch_up") or "latest"))),
        ("approval", "a person must agree before it starts" if declared.get("approval") else None),
        ("limits", limits(one)),
    ]
    return card(state, facts(pairs), more=actions(one, halted))


def next_card(times: Mapping[str, Any]) -> Html:
    """When it fires, or why that is not known. times: of GET /schedules/ID/next."""
    found: Sequence[str] = times.get("times") or ()
    if not found:
        return card("Next", tag("p", times.get("reason"), class_="ll-quiet"))
    rows = [tag("li", tag("span", _clock(time)), tag("small", soon(time))) for time in found]
    return card("Next", tag("ol", rows, class_="ll-times"))


def soon(time: str) -> str:
    """`in 3 d`; nothing for what is further away than that says anything."""
    told = ago(time)
    return told if told.startswith("in ") else ""


_CATCH_UP = {
    "latest": "the latest is made up for",
    "all": "all are made up for",
    "none": "none is made up for",
}


def actions(one: Schedule, halted: bool) -> Html:
    """Run now; pause or resume."""
    id = str(one["id"])
    start = act(
        "Run now",
        "run_schedule",
        id,
        confirm=f"Start {one['file']} now?\nNo limit or pause holds a person back.",
        disabled=halted or bool(one.get("gone")),
        aria_label=f"Run {id} now",
    )
    if one.get("paused"):
        other = act("Resume", "resume_schedule", id, kind="primary", aria_label=f"Resume {id}")
    else:
        question = f"Pause {id}?\nNothing fires until it is resumed; what would have is recorded."
        other = act(
            "Pause…", "pause_schedule", id, confirm=question, why="Why?", aria_label=f"Pause {id}…"
        )
    return tag("div", start, other, class_="ll-actions")


def meter(one: Schedule) -> Html | None:
    """How many of the pairs that it needs there are."""
    pairs = one.get("pairs")
    if not pairs:
        return None
    have, need = pairs.get("have"), int(pairs["need"])
    if have is None:
        return tag("span", f"of {need:,} pairs; not counted yet", class_="ll-quiet")
    part = min(100.0, 100 * have / need)
    bar = tag("div", tag("span", style=f"width:{part:.1f}%"), class_="ll-meter-bar")
    told = tag("small", f"{have:,} of {need:,} new pairs")
    return tag(
        "div", bar, told, class_="ll-meter", role="img", aria_label=f"{have} of {need} pairs"
    )


def last(one: Schedule) -> Html | None:
    """Its last firing, or why that was held back."""
    found = one.get("last")
    if not found:
        return None
    return tag(
        "span",
        tag("span", outcome(found), " ", stamp(found["time"])),
        tag("small", to_run(found["job"]) if found.get("job") else found.get("reason")),
        class_="ll-under",
    )


def outcome(firing: Mapping[str, Any]) -> Html:
    word = str(firing["outcome"])
    return badge({"started": "done", "skipped": "waiting"}.get(word, word), word)


def limits(one: Schedule) -> Html | None:
    """What its pipeline's triggers may spend."""
    given: Mapping[str, Any] = one.get("limits") or {}
    told = []
    if given.get("runs_a_day") is not None:
        told.append(f"{number(given['runs_a_day'])} runs a day")
    if given.get("device_hours_a_month") is not None:
        told.append(f"{number(given['device_hours_a_month'])} device hours a month")
    return joined(", ".join(told)) if told else None


def _row(one: Schedule, halted: bool) -> tuple[object, ...]:
    name = tag("span", to_schedule(str(one["id"])), tag("small", _beside(one)), class_="ll-under")
    return (name, _fires(one), _next(one, halted), last(one) or "never", actions(one, halted))


def _beside(one: Schedule) -> str:
    told = [str(one["file"])]
    if one["declared"].get("approval"):
        told.append("asks a person first")
    return ", ".join(told)


def _fires(one: Schedule) -> Html:
    return tag("span", when(one["declared"]), tag("small", limits(one)), class_="ll-under")


def _next(one: Schedule, halted: bool) -> Html:
    """When, or what keeps it."""
    if one.get("gone") or one.get("paused") or halted:
        state = _state(one, halted)
        why = (one.get("gone") or {}).get("reason") or (one.get("paused") or {}).get("why")
        return tag("span", tag("span", state), tag("small", why), class_="ll-under")
    if one.get("pairs"):
        return meter(one) or joined()
    if one.get("next_at"):
        return tag(
            "span",
            tag("span", ago(one["next_at"])),
            tag("small", _clock(one["next_at"])),
            class_="ll-under",
        )
    return tag(
        "span", "when it is called" if one["kind"] == "webhook" else "never", class_="ll-quiet"
    )


def _state(one: Schedule, halted: bool) -> Html:
    if one.get("gone"):
        return badge("failed", "not declared")
    if halted:
        return badge("halted")
    if one.get("paused"):
        return badge("paused")
    return badge("ready", "armed")


def held(one: Schedule) -> Html | None:
    """Why it does not fire, where it does not."""
    gone, paused = one.get("gone"), one.get("paused")
    if gone:
        return warned(
            tag("strong", f"It fires no more since {ago(gone['since'])}."), gone.get("reason")
        )
    if paused:
        why = f": {paused['why']}" if paused.get("why") else "."
        return warned(f"Paused by {paused['by']} {ago(paused['since'])}{why}")
    return None


def _declared(declared: Mapping[str, Any]) -> str:
    for key in ("cron", "every", "webhook"):
        if declared.get(key):
            return f"{key}: {declared[key]}"
    feedback = declared.get("feedback") or {}
    return "feedback: " + ", ".join(
        f"{key} {value}" for key, value in feedback.items() if value is not None
    )


def _clock(time: str) -> str:
    """`Mon 23 Nov, 02:00 UTC`."""
    found = moment(time)
    return f"{found:%a} {found.day} {found:%b, %H:%M} UTC" if found else time
