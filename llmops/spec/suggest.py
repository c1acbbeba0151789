"""What to say of a name or a value that is not valid, and the nearest name that is."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that `name` was probably meant to be, or None."""
    found = get_close_matches(name, list(known), n=1, cutoff=0.6)
    return found[0] if found else None


def did_you_mean(name: str, known: Iterable[str], *, listing: int = 12) -> str:
    """A sentence for an error's `fix`: the nearest name, or the known ones when few."""
    names = sorted(set(known))
    near = nearest(name, names)
    if near:
        return f"did you mean `{near}`?"
    if 0 < len(names) <= listing:
        return "known: " + ", ".join(f"`{n}`" for n in names)
    return ""


def unfit(item: Any) -> str:
    """What is wrong with a value, of an error that pydantic lists."""
    if item["type"] == "value_error":
        return str(item["ctx"]["error"])
    message = str(item["msg"]).replace("Input should be", "expected")
    shown = repr(item["input"])
    shown = shown if len(shown) <= 60 else shown[:57] + "..."
    return f"{message}, found {shown}"
