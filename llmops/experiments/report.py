"""An experiment for a person: lines and rows made of `evidence.describe`. The CLI prints them."""

from datetime import UTC, datetime
from typing import Any

VARIANT_COLUMNS = ("variant", "version", "weight", "units", "outcomes", "mean", "interval")


def facts(found: dict[str, Any]) -> list[str]:
    """What the experiment compares, says, and stands on."""
    margin = found["not_worse_by"]
    goal = f"better, or not worse by {margin:g}" if margin else "better"
    lines = {
        "experiment": f"{found['experiment']}: is {found['candidate']} {goal} than "
        f"{found['control']}, by {found['outcome']}?",
        "verdict": f"{found['verdict']}: {found['why']}",
        "gain": _gain(found),
        "since": _since(found.get("since")),
        "sample ratio": _ratio(found.get("sample_ratio")),
        "users": "simulated ones count too" if found["simulated"] else "",
    }
    return [f"{name:14}{value}" for name, value in lines.items() if value]


def variant_row(side: dict[str, Any]) -> tuple[str, ...]:
    """A variant as the cells of VARIANT_COLUMNS."""
    return (
        side["variant"],
        side["version"],
        "-" if side["weight"] is None else f"{side['weight']:.0%}",
        f"{side['units']:,}",
        f"{side['outcomes']:,}",
        "-" if side["mean"] is None else f"{side['mean']:.3f}",
        _ends(side["interval"], sign=""),
    )


def _gain(found: dict[str, Any]) -> str:
    if found.get("gain") is None:
        return ""
    fewer = " (regenerated less often)" if found["outcome"] == "regenerate" else ""
    return (
        f"{found['gain']:+.3f}{fewer}, {found['confidence']:.0%} {_ends(found['interval'])} at all "
        f"times, from {found['blocks']:,} blocks of units"
    )


def _ends(interval: list[float | None] | None, sign: str = "+") -> str:
    if interval is None:
        return "-"
    low, high = ("any" if end is None else f"{end:{sign}.3f}" for end in interval)
    return f"[{low}, {high}]"


def _since(since: dict[str, int] | None) -> str:
    if since is None:
        return ""
    time = datetime.fromtimestamp(since["time"] / 1000, UTC)
    return f"generation {since['generation']} of the routes, {time:%Y-%m-%d %H:%M} UTC"


def _ratio(check: dict[str, Any] | None) -> str:
    if check is None or not check["generations"]:
        return ""
    if check["mismatch"]:
        return f"not as the weights say (p {check['p']:.1g})"
    if all(one["share"] is None for one in check["generations"]):
        return "not checked: the weights of these generations are not on record"
    unchecked = f"; {check['unchecked']:,} units unchecked" if check["unchecked"] else ""
    return f"as the weights say (p {check['p']:.2g}){unchecked}"
