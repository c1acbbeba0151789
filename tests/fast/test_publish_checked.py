"""How golden prompts before and after are compared; the engine that computes them is elsewhere."""

import pytest

from llmops.errors import Failed
from llmops.publish.checked import Compared, check_merged, differences
from llmops.registry.manifest import Golden


def golden(completion: list[int], logprobs: list[float], base: list[float] | None = None) -> Golden:
    return Golden(
        text="a",
        prompt_ids=[1, 2],
        completion_ids=completion,
        logprobs=logprobs,
        base_logprobs=base,
    )


def test_tokens_are_compared_as_far_as_both_have_them() -> None:
    before = golden([3, 4, 5], [-1.0, -2.0, -3.0, -4.0], [-5.0, -6.0, -7.0, -8.0])
    after = golden([3, 9], [-1.0, -2.25, -30.0])
    assert differences([before], [after], "float32") == [0.25]


def test_a_model_that_says_what_the_base_says_is_refused() -> None:
    before = golden([3], [-1.0, -2.0], [-5.0, -6.0])
    with pytest.raises(Failed, match="says what the base says"):
        differences([before], [golden([3], [-5.0, -6.0])], "float32")


@pytest.mark.parametrize(("dtype", "far"), [("float32", 0.01), ("float16", 0.1), ("bfloat16", 1.0)])
def test_more_than_rounding_is_refused(dtype: str, far: float) -> None:
    check_merged(Compared([], far / 10), dtype)
    check_merged(Compared([], None), dtype)
    for difference in (far, float("nan")):
        with pytest.raises(Failed, match=f"is what {dtype} explains"):
            check_merged(Compared([], difference), dtype)
