"""Layouts of data: their columns, how they are told apart, and which stage trains on which.

A layout is recognised by the columns of the first row; llmops/data/samples.py checks each row.
"""

from collections.abc import Collection, Mapping
from typing import Any, get_args

from llmops.data.conversation import listed
from llmops.data.rows import RowProblem, kind
from llmops.spec.recipe import Layout, TrainStage

LAYOUTS: tuple[Layout, ...] = get_args(Layout)

STAGE_LAYOUTS: dict[TrainStage, frozenset[Layout]] = {
    "cpt": frozenset({"text"}),
    "sft": frozenset({"messages", "sharegpt", "alpaca"}),
    "dpo": frozenset({"preference"}),
    "rm": frozenset({"preference"}),
    "kto": frozenset({"kto"}),
}

# The names that a file may use for each column of a layout, the layout's own name first.
_PROMPT = ("prompt", "question", "instruction")
_CHAT = {"messages": ("messages",), "conversations": ("conversations",)}
_EXTRAS = {"input": ("input",), "system": ("system",), "history": ("history",)}
COLUMNS: dict[Layout, dict[str, tuple[str, ...]]] = {
    "text": {"text": ("text",)},
    "messages": {"messages": ("messages",), "system": ("system",)},
    "sharegpt": {
        "conversations": ("conversations",),
        "system": ("system",),
        "tools": ("tools",),
    },
    "alpaca": {"instruction": ("instruction",), "output": ("output",), **_EXTRAS},
    "preference": {
        "prompt": _PROMPT,
        **_CHAT,
        "chosen": ("chosen",),
        "rejected": ("rejected",),
        **_EXTRAS,
    },
    "kto": {
        "prompt": _PROMPT,
        **_CHAT,
        "completion": ("completion", "output"),
        "label": ("label", "kto_tag"),
        **_EXTRAS,
    },
}
# What each layout needs: one of the sets.
_NEEDS: dict[Layout, tuple[frozenset[str], ...]] = {
    "text": (frozenset({"text"}),),
    "messages": (frozenset({"messages"}),),
    "sharegpt": (frozenset({"conversations"}),),
    "alpaca": (frozenset({"instruction", "output"}),),
    "preference": (frozenset({"chosen", "rejected"}),),
    "kto": (
        frozenset({"prompt", "completion", "label"}),
        frozenset({"messages", "label"}),
        frozenset({"conversations", "label"}),
    ),
}
# A row of the first kind has all that the second needs, and more.
_COVERS: dict[Layout, frozenset[Layout]] = {
    "preference": frozenset({"messages", "sharegpt"}),
    "kto": frozenset({"messages", "sharegpt", "alpaca"}),
}


def columns_of(
    layout: Layout, row: Mapping[str, Any], given: Mapping[str, str] | None
) -> dict[str, str]:
    """The layout's column -> the file's own, for the columns that `row` has."""
    given = given or {}
    found: dict[str, str] = {}
    for column, names in COLUMNS[layout].items():
        name = given.get(column) or next((n for n in names if n in row), None)
        if name is not None and name in row:
            found[column] = name
    return found


def has_needed(layout: Layout, columns: Collection[str]) -> bool:
    return any(need <= set(columns) for need in _NEEDS[layout])


def needed(layout: Layout) -> str:
    """The columns that a layout needs, in words."""
    return " or ".join(
        "(" + listed(name for name in COLUMNS[layout] if name in need) + ")"
        for need in _NEEDS[layout]
    )


def detect(
    row: Mapping[str, Any], given: Mapping[str, str] | None, wanted: Collection[Layout]
) -> Layout:
    """The layout of a first row. Raises RowProblem when none or several fit."""
    fitting = [
        layout
        for layout in LAYOUTS
        if has_needed(layout, columns_of(layout, row, given)) and _plausible(layout, row, given)
    ]
    covered = {other for layout in fitting for other in _COVERS.get(layout, ())}
    found = [layout for layout in fitting if layout not in covered]
    if len(found) > 1:
        found = [layout for layout in found if layout in wanted] or found
    if len(found) == 1:
        return found[0]
    if found:
        raise RowProblem(
            f"the columns {listed(row)} fit several layouts: {listed(found)}",
            f"say which one, e.g. `layout: {found[0]}`",
        )
    if has_needed("kto", columns := columns_of("kto", row, given)):
        label = columns["label"]
        raise RowProblem(
            f"`{label}` is {kind(row[label])}", "expected true or false, for layout `kto`"
        )
    raise RowProblem(f"the columns {listed(row)} fit no layout", _suggest(row, wanted))


def _plausible(layout: Layout, row: Mapping[str, Any], given: Mapping[str, str] | None) -> bool:
    """A `label` that is no truth value (a class, a score) does not make a row KTO."""
    if layout != "kto":
        return True
    label = row[columns_of(layout, row, given)["label"]]
    return isinstance(label, bool) or str(label).lower() in ("true", "false")


def _suggest(row: Mapping[str, Any], wanted: Collection[Layout]) -> str:
    """What a person probably meant by columns of other names."""
    names = set(row)
    for ask, answer in (
        ("prompt", "completion"),
        ("prompt", "response"),
        ("question", "answer"),
        ("input", "output"),
        ("instruction", "response"),
    ):
        if {ask, answer} <= names and "alpaca" in wanted:
            return f"name them: `columns: {{instruction: {ask}, output: {answer}}}`"
    texts = [name for name, value in row.items() if isinstance(value, str)]
    if len(texts) == 1 and "text" in wanted:
        return f"if it is the text, say `columns: {{text: {texts[0]}}}`"
    expected = "; ".join(f"{name} {needed(name)}" for name in LAYOUTS if name in wanted)
    return f"expected {expected}; other names go under `columns`"
