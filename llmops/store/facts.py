"""Facts: what is known of something, by dotted key; and how two such differ."""

from collections.abc import Mapping
from typing import Any

Facts = Mapping[str, Any]


def flatten(value: Any, prefix: str = "") -> dict[str, Any]:
    """Nested mappings and lists as one level of dotted keys."""
    if isinstance(value, Mapping):
        items = [(str(k), v) for k, v in value.items()]
    elif isinstance(value, list):
        items = [(str(i), v) for i, v in enumerate(value)]
    else:
        return {prefix: value}
    flat: dict[str, Any] = {}
    for key, item in items:
        flat.update(flatten(item, f"{prefix}.{key}" if prefix else key))
    return flat


def differences(left: Facts, right: Facts, prefix: str = "") -> list[dict[str, Any]]:
    """[{"key", "a", "b"}] where they differ, None for what one of them has not; `delta`, b - a,
    between numbers."""
    keys = {**left, **right}
    groups = [*dict.fromkeys(map(_group, keys))]  # what only the other has stands with its like
    found = []
    for key in sorted(keys, key=lambda one: groups.index(_group(one))):
        a: Any = left.get(key)
        b: Any = right.get(key)
        if a != b:
            numbers = all(type(one) in (int, float) for one in (a, b))
            delta = {"delta": b - a} if numbers else {}
            found.append({"key": prefix + key, "a": a, "b": b, **delta})
    return found


def _group(key: str) -> str:
    return key.partition(".")[0]
