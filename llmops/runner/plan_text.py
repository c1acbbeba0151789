"""A plan as text for a person. Plain text, because a table library costs more than planning."""

from collections.abc import Mapping
from typing import Any

from llmops.environments.machine import size_text

_MARKS = {"reuse": "=", "run": "+", "pending": "?"}
_WORDS = {"reuse": "up to date", "run": "will run", "pending": "will run, unless"}


def plan_text(plan: Mapping[str, Any], *, config: bool = False) -> str:
    """The plan, a paragraph for each stage."""
    lines = [f"{plan['target']}: {_counted(plan['stages'])}", ""]
    width = max(len(stage["stage"]) for stage in plan["stages"])
    for stage in plan["stages"]:
        lines += _stage(stage, width)
        if config and stage["command"]:
            lines += _command(stage["command"])
    if any(stage["state"] == "pending" for stage in plan["stages"]):
        lines += ["", "? waits for an input; if that comes out as before, its output is reused"]
    return "\n".join(lines)


def _counted(stages: list[Mapping[str, Any]]) -> str:
    counts = {state: sum(s["state"] == state for s in stages) for state in _MARKS}
    waits = "those" if counts["run"] else "a download"
    parts = [
        f"{counts['run']} to run" if counts["run"] else "",
        f"{counts['pending']} waiting for {waits}" if counts["pending"] else "",
        f"{counts['reuse']} up to date" if counts["reuse"] else "",
    ]
    return ", ".join(part for part in parts if part)


def _stage(stage: Mapping[str, Any], width: int) -> list[str]:
    head = f"{_MARKS[stage['state']]} {stage['stage']:<{width}}  {stage['summary']}"
    if stage["output"] and stage["output"] not in stage["summary"]:
        head += f"  = {stage['output']}"
    indent = " " * (width + 4)
    lines = [head]
    for name, item in stage["inputs"].items():
        if "download_bytes" in item:
            size, free = size_text(item["download_bytes"]), size_text(item["free_bytes"])
            lines.append(f"{indent}{name}: {item['id']}")
            lines += [f"{indent}  {one} is downloaded first" for one in item["downloads"]]
            few = "only " if item["download_bytes"] > item["free_bytes"] else ""
            lines.append(f"{indent}  {size} into {item['into']}, where {few}{free} are free")
        elif "pending" in item:
            lines.append(f"{indent}{name}: from stage {item['pending']}")
        else:
            lines.append(f"{indent}{name}: {item['id']} ({item['digest'][:12]})")
    lines += [f"{indent}{note}" for note in stage["notes"]]
    if stage["state"] != "reuse":
        lines += [f"{indent}why: {reason}" for reason in stage["reasons"]]
    needs = _needs(stage["estimate"])
    if needs and stage["state"] != "reuse":
        lines.append(f"{indent}about {needs}")
    return lines


def _needs(estimate: Mapping[str, Any]) -> str:
    parts = []
    if estimate["memory_bytes"]:
        parts.append(f"{size_text(estimate['memory_bytes'])} memory")
    if estimate["disk_bytes"]:
        parts.append(f"{size_text(estimate['disk_bytes'])} disk")
    if estimate["seconds"]:
        parts.append(f"{estimate['seconds']:.0f} s")
        if estimate["cost"]:
            hours = estimate["seconds"] * estimate["devices"] / 3600
            parts.append(f"{hours:.2f} device hours, {estimate['cost']}")
    elif parts:
        parts.append("its time is not known before it ran once")
    return ", ".join(parts)


def _command(command: Mapping[str, Any]) -> list[str]:
    lines = ["", "    " + " ".join(command["argv"])]
    for name, text in command["files"].items():
        lines += [f"    --- {name}", *(f"    {line}" for line in text.splitlines())]
    return [*lines, ""]
