"""The formula against what others measured on GPUs, and the table of docs/plans.md."""

from pathlib import Path

import pytest

from tests.fast.estimated import GB, needed
from tests.fast.published import PUBLISHED, Published

PLANS = Path(__file__).parents[2] / "docs" / "plans.md"


def estimated(one: Published) -> float:
    args = {**one.args, "cutoff_len": one.tokens}
    found = needed(args, of=one.model, devices=one.devices, longest=None)
    assert not found.unknown
    return found.peak / GB


def row(one: Published) -> str:
    found = estimated(one)
    each = f"{one.devices} GPUs, each " if one.devices > 1 else ""
    told = f"{each}{one.peak:.1f} GB"
    figures = f"{found:.1f} GB | {told} | {found / one.peak - 1:+.0%}"
    return f"| {one.model} | {one.training} | {figures} | {one.source} |"


@pytest.mark.parametrize("one", PUBLISHED, ids=lambda one: f"{one.model} {one.training}")
def test_what_others_measured_is_what_the_formula_says(one: Published) -> None:
    assert estimated(one) == pytest.approx(one.peak, rel=one.off)


def test_the_docs_show_these_figures() -> None:
    shown = PLANS.read_text(encoding="utf-8")
    assert "\n".join(map(row, PUBLISHED)) in shown, "\n" + "\n".join(map(row, PUBLISHED))
