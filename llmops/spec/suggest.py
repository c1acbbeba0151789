"""What to say of a name or a value that is not valid, and the nearest name that is."""

from collections.abc import Iterable
from typing import Any


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that `name` was probably meant to be, or None."""
    from difflib import get_close_matches

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
    return f"expected {_expected(item)}, found {_shown(item['input'])}"


def _expected(item: Any) -> str:
    kind, limits = str(item["type"]), item.get("ctx", {})
    for beginning, words in _KINDS.items():
        if kind.startswith(beginning):
            return words.format(**limits)
    return str(item["msg"]).replace("Input should be ", "")


def _shown(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "nothing", True: "true", False: "false"}[value]
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


_KINDS = {
    "dict_": "a mapping",
    "model_": "a mapping",
    "list_": "a list",
    "string_type": "text",
    "int_": "a whole number",
    "float_": "a number",
    "bool_": "true or false",
    "path_": "a path",
    "too_short": "{min_length} or more of them",
    "greater_than_equal": "{ge} or more",
    "greater_than": "more than {gt}",
    "less_than_equal": "{le} at most",
    "less_than": "less than {lt}",
}
"""By the beginning of pydantic's own kinds of errors."""
