"""Who is answered by which variant: weighted rendezvous hashing. Pure.

Each variant draws a number for each unit from a hash of salt, unit and its own name; the number
is stretched by the variant's weight, and the smallest one wins. So gateways that share a salt and
weights agree without talking to each other, shares follow the weights, and a change of weights
moves only as many units as the shares differ by.
"""

import math
from collections.abc import Mapping
from hashlib import blake2b

_RANGE = float(2**64)


def ranked(unit: str, weights: Mapping[str, float], salt: str) -> list[str]:
    """The variants that have any weight, the unit's own first. Empty when all weights are 0."""
    drawn = sorted(
        (_draw(unit, name, salt) / weight, name) for name, weight in weights.items() if weight > 0
    )
    return [name for _, name in drawn]


def shares(weights: Mapping[str, float]) -> dict[str, float]:
    """Each variant's share of the units, 0 to 1."""
    total = sum(weights.values())
    return {name: weight / total if total else 0.0 for name, weight in weights.items()}


def _draw(unit: str, name: str, salt: str) -> float:
    """Exponentially distributed with mean 1, the same for the same arguments."""
    text = f"{salt}\0{unit}\0{name}".encode(errors="surrogatepass")
    number = int.from_bytes(blake2b(text, digest_size=8).digest(), "big")
    return -math.log((number + 0.5) / _RANGE)
