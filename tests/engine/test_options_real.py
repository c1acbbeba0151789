"""The option set of the LLaMA-Factory that is installed."""

from collections import Counter

import pytest

from llmops.engines.contract import Environment
from llmops.engines.llamafactory.options import option_set

pytestmark = pytest.mark.engine


def test_every_option_is_read(llamafactory: Environment) -> None:
    found = option_set(llamafactory)
    groups = Counter(option.group for option in found.options.values())
    assert groups == {
        "training": 135,
        "finetuning": 97,
        "model": 76,
        "data": 28,
        "generating": 10,
    }
    assert len(found.templates) == 121
    assert all(option.types for option in found.options.values())
