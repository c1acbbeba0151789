"""Fingerprints of stages, and what changed between two of them (design decision 3)."""

from collections.abc import Callable, Mapping

from llmops.store.digest import sha256_json


def fingerprint(parts: Mapping[str, str]) -> str:
    """sha256 over the parts: name -> digest or short value."""
    return sha256_json(dict(parts))


Told = Callable[[str], tuple[str, ...]]
"""What people call the change of one part; empty where its values tell it."""


def changes(
    old: Mapping[str, str], new: Mapping[str, str], told: Told = lambda _: ()
) -> tuple[str, ...]:
    """Sentences saying how `new` differs from `old`: `args.learning_rate: 0.001 -> 0.003`.

    What is `pending:` may come out as before, so neither it nor its details count as changed.
    """
    sentences: list[str] = []
    pending = tuple(f"{name}." for name, value in new.items() if value.startswith("pending: "))
    for name in sorted({*old, *new}):
        before, after = old.get(name), new.get(name)
        if before == after or f"{name}.".startswith(pending):
            continue
        if said := told(name):
            sentences += said
        elif before is None:
            sentences.append(f"{name}: new, {_short(after)}")
        elif after is None:
            sentences.append(f"{name}: no longer set (was {_short(before)})")
        else:
            sentences.append(f"{name}: {_short(before)} -> {_short(after)}")
    return tuple(sentences)


def _short(value: str | None) -> str:
    """Digests by their first 12 figures."""
    text = str(value)
    if len(text) == 64 and all(c in "0123456789abcdef" for c in text):
        return text[:12]
    return text if len(text) <= 40 else text[:37] + "..."
