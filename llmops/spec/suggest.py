"""The nearest valid name to one that is not valid."""

from collections.abc import Iterable
from difflib import get_close_matches


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
