"""What a plan says of the length of samples, and how many steps they make."""

from pathlib import Path
from typing import Any

import pytest

from llmops.data.tokens import Lengths
from llmops.engines.contract import DataSet
from llmops.errors import BadInput
from llmops.stages.lengths import check_enough, lengths
from llmops.stages.resources import steps_of
from tests.fast.estimated import recipe


def said(stage: str, cutoff: int, args: dict[str, Any]) -> str:
    found = recipe({"cutoff_len": cutoff, **args}, stage).spec
    over = [Lengths(100, 5_000, 300, 4 if cutoff < 300 else 0)]
    (line,) = lengths(found, over, [])
    return line.removeprefix("about 50 tokens a sample, the longest 300; ")


@pytest.mark.parametrize(
    ("stage", "cutoff", "args", "says"),
    [
        ("sft", 512, {}, "none is cut at cutoff_len 512"),
        ("sft", 256, {}, "4.0% are longer than cutoff_len 256 and are cut"),
        ("sft", 512, {"neat_packing": True}, "packed into samples of 512"),
        (
            "sft",
            256,
            {"neat_packing": True},
            "4.0% are longer than cutoff_len 256 and are cut, packed into samples of 256",
        ),
        ("cpt", 256, {}, "packed into samples of 256"),
        ("cpt", 256, {"packing": False}, "4.0% are longer than cutoff_len 256 and are cut"),
    ],
)
def test_a_plan_tells_what_is_cut_and_what_is_packed(
    stage: str, cutoff: int, args: dict[str, Any], says: str
) -> None:
    assert said(stage, cutoff, args) == says


def texts(samples: int = 4, limit: int | None = None) -> DataSet:
    return DataSet(Path("a.jsonl"), "text", {}, samples, "", limit)


@pytest.mark.parametrize("args", [{"cutoff_len": 101}, {"cutoff_len": 102, "packing": True}, {}])
def test_texts_that_fill_no_sample_are_refused(args: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match="100 tokens in all do not fill one sample"):
        check_enough(recipe(args, "cpt"), [Lengths(4, 100, 30, 0)], [texts()])


@pytest.mark.parametrize(
    ("stage", "args", "data"),
    [
        ("cpt", {"cutoff_len": 100}, texts()),
        ("cpt", {"cutoff_len": 101, "packing": True}, texts()),
        ("cpt", {"packing": False}, texts()),
        ("sft", {}, texts()),
        ("cpt", {}, texts(samples=2001)),
        ("cpt", {}, texts(limit=9)),
    ],
)
def test_texts_that_fill_one_or_were_not_all_counted_are_not(
    stage: str, args: dict[str, Any], data: DataSet
) -> None:
    check_enough(recipe(args, stage), [Lengths(4, 100, 30, 0)], [data])


@pytest.mark.parametrize(
    ("stage", "args", "steps"),
    [
        ("sft", {}, 38),
        ("sft", {"neat_packing": True}, None),
        ("cpt", {}, None),
        ("cpt", {"packing": False}, 38),
        ("cpt", {"max_steps": 7}, 7),
    ],
)
def test_packing_decides_the_steps(stage: str, args: dict[str, Any], steps: int | None) -> None:
    assert steps_of(recipe(args, stage).spec, 100) == steps
