import json
import math

import pytest

from llmops.errors import Failed
from llmops.registry.manifest import Golden
from llmops.serving.golden import (
    TOLERANCES,
    check,
    coarser,
    compare,
    compare_tokens,
    difference,
)
from tests.fast.protocol_server import Wire, serve_wire
from tests.fast.served import GOLDEN

OWN = GOLDEN.logprobs
BARE = GOLDEN.base_logprobs or []


def shifted(figures: list[float], by: float) -> list[float]:
    return [figure + by for figure in figures]


def test_the_same_tokens_match() -> None:
    assert compare_tokens(GOLDEN, [3, 4, 5]) is None


def test_other_tokens_blame_the_template_and_show_where_they_part() -> None:
    problem = compare_tokens(GOLDEN, [3, 9, 4, 5])
    assert problem is not None
    assert problem.cause == "template"
    assert problem.expected == "3 tokens, from number 1: [4, 5]"
    assert problem.found == "4 tokens, from number 1: [9, 4, 5]"


def test_tokens_that_only_go_on_are_told_too() -> None:
    problem = compare_tokens(GOLDEN, [3, 4, 5, 5])
    assert problem is not None
    assert problem.found == "4 tokens, from number 3: [5]"


@pytest.mark.parametrize("dtype", TOLERANCES)
def test_rounding_within_the_dtypes_tolerance_matches(dtype: str) -> None:
    assert compare(GOLDEN, shifted(OWN, TOLERANCES[dtype] * 0.9), dtype) is None


def test_a_difference_above_the_tolerance_blames_the_weights() -> None:
    problem = compare(GOLDEN, shifted(OWN, -0.02), "float32")
    assert problem is not None
    assert problem.cause == "weights"
    assert problem.expected.startswith("log-probability of token ")


@pytest.mark.parametrize("dtype", TOLERANCES)
def test_the_bases_figures_say_that_the_adapter_has_no_effect(dtype: str) -> None:
    problem = compare(GOLDEN, BARE, dtype)
    assert problem is not None
    assert problem.cause == "no effect"


def test_a_coarse_dtype_still_tells_a_slight_adapter_from_its_base() -> None:
    slight = GOLDEN.model_copy(update={"base_logprobs": shifted(OWN, 0.3)})
    problem = compare(slight, shifted(OWN, 0.28), "bfloat16")
    assert problem is not None
    assert problem.cause == "no effect"


def test_an_adapter_that_a_prompt_cannot_tell_apart_matches() -> None:
    faint = GOLDEN.model_copy(update={"base_logprobs": shifted(OWN, 1e-5)})
    assert compare(faint, shifted(OWN, 1e-5), "float32") is None


def test_a_full_version_has_no_base_to_be_nearer_to() -> None:
    assert compare(GOLDEN.model_copy(update={"base_logprobs": None}), OWN, "float32") is None


def test_a_figure_that_is_no_number_never_matches() -> None:
    assert math.isinf(difference([-1.0, -1.0], [math.nan, -1.0]))
    assert compare(GOLDEN, [math.nan, *OWN[1:]], "bfloat16") is not None


def test_the_coarser_dtype_counts_and_an_unknown_one_most() -> None:
    assert coarser("float32", "float16") == "float16"
    assert coarser("float32", None) == "bfloat16"


def wire(figures: list[float], tokens: list[int]) -> Wire:
    """One answer to both questions: the tokens of /tokenize and the figures of /v1/completions."""
    ids = GOLDEN.prompt_ids + GOLDEN.completion_ids
    rows = [None, *({str(i): {"logprob": f}} for i, f in zip(ids[1:], figures, strict=False))]
    return Wire({"tokens": tokens, "choices": [{"prompt_logprobs": rows}]})


def judge(answers: Wire, golden: Golden = GOLDEN, max_model_len: int | None = None) -> float:
    with serve_wire(answers) as endpoint, endpoint.client() as client:
        return check(
            client,
            "town:v2",
            [golden],
            base="town:v1",
            dtype="float32",
            max_model_len=max_model_len,
            variants=["after"],
        ).difference


def test_a_version_that_matches_tells_its_largest_difference() -> None:
    assert judge(wire(shifted(OWN, 0.001), [3, 4, 5])) == pytest.approx(0.001)


def test_a_mismatch_names_version_base_variant_prompt_and_both_figures() -> None:
    with pytest.raises(Failed) as caught:
        judge(wire(BARE, [3, 4, 5]))
    told = str(caught.value)
    assert "town:v2 on town:v1 (variant after)" in told
    assert "golden prompt 1 of 1, 'Which river?'" in told
    assert "has no effect" in told
    assert "expected log-probability of token 4: -0.5000, found -2.5000" in told


def test_a_base_that_differs_from_its_own_figures_is_blamed() -> None:
    with pytest.raises(Failed, match="the base that is served is not the one"):
        judge(wire([-9.0, -9.0, -9.0], [3, 4, 5]))


def test_figures_are_compared_as_far_as_the_servers_context_goes() -> None:
    answers = wire(OWN[:1], [3, 4, 5])
    choice = json.loads(answers.body)["choices"][0]
    answers.body = json.dumps(
        {"tokens": [3, 4, 5], "choices": [{"prompt_logprobs": choice["prompt_logprobs"][:2]}]}
    ).encode()
    assert judge(answers, max_model_len=3) == 0.0
    assert answers.asked[1]["prompt"] == [3, 4]
