"""When a trigger fires, in words."""

from collections.abc import Mapping
from typing import Any

_DAYS = ("Sundays", "Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays")
_UNITS = {"s": "second", "m": "minute", "h": "hour", "d": "day", "w": "week"}


def when(declared: Mapping[str, Any]) -> str:
    """declared: a trigger as a pipeline declares it."""
    if declared.get("cron"):
        zone = declared.get("timezone") or "UTC"
        return f"{cron(str(declared['cron']))}, {zone}"
    if declared.get("every"):
        return f"every {duration(str(declared['every'])).removeprefix('1 ')}"
    feedback = declared.get("feedback")
    if feedback:
        pairs = f"{int(feedback['new_pairs']):,} new pairs"
        cooldown = str(feedback.get("cooldown") or "0s")
        rest = "" if cooldown.startswith("0") else f", at most once in {duration(cooldown)}"
        return f"after {pairs}{rest}"
    if declared.get("webhook"):
        return "when its webhook is called"
    return "by hand"


def cron(text: str) -> str:
    """`Mondays at 03:00` for the common kinds of expression, else the expression itself."""
    parts = text.split()
    if len(parts) != 5:
        return text
    minute, hour, day, month, weekday = parts
    if month != "*" or not minute.isdigit():
        return text
    if hour == "*" and day == weekday == "*":
        return f"every hour at :{int(minute):02}"
    if not hour.isdigit():
        return text
    at = f"at {int(hour):02}:{int(minute):02}"
    if day == "*" and weekday == "*":
        return f"every day {at}"
    if day == "*" and weekday == "1-5":
        return f"Mondays to Fridays {at}"
    numbers = weekday.split(",")
    if day == "*" and all(one.isdigit() and int(one) < 8 for one in numbers):
        names = [_DAYS[int(one) % 7] for one in numbers]
        told = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
        return f"{told} {at}"
    if weekday == "*" and day.isdigit():
        return f"on day {int(day)} of each month {at}"
    return text


def duration(text: str) -> str:
    """`24 hours` of `24h`; what is not of that form stays."""
    count, unit = text[:-1], text[-1:]
    if unit not in _UNITS or not count.replace(".", "", 1).isdigit():
        return text
    return f"{count} {_UNITS[unit]}" + ("" if count == "1" else "s")
