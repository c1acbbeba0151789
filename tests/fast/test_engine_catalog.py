"""Engines are found by name."""

import pytest

from llmops.engines.catalog import ENGINES, find_engine
from llmops.errors import BadInput


@pytest.mark.parametrize("name", ENGINES)
def test_known_engine(name: str) -> None:
    assert find_engine(name).name == name


def test_unknown_engine() -> None:
    with pytest.raises(BadInput) as caught:
        find_engine("llamafactry", where="sft.yaml:4: engine")
    assert str(caught.value) == (
        "sft.yaml:4: engine: `llamafactry` is not an engine\n  -> did you mean `llamafactory`?"
    )
