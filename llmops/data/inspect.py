"""Look at a data file: which layout it has, whether every row is good, what it asks.

Reads only. The first bad row is refused with its place, because the engine drops such rows
without a word or stops in the middle of loading. Nothing is remembered here.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from llmops.data.conversation import listed
from llmops.data.layouts import (
    COLUMNS,
    LAYOUTS,
    STAGE_LAYOUTS,
    columns_of,
    detect,
    has_needed,
    needed,
)
from llmops.data.rows import Row, RowProblem, read_rows, reading_of
from llmops.data.samples import Sample, read_sample
from llmops.engines.contract import DataSet
from llmops.errors import BadInput
from llmops.spec.recipe import DataFile, Layout
from llmops.spec.source import display
from llmops.spec.suggest import did_you_mean
from llmops.store.digest import sha256_file

PROMPTS = 4
# The engine's loader fixes the columns after its first chunk, of 10 MiB, and stops at others.
_CHUNK = 8 << 20
_FORMS = ("messages", "conversations", "prompt")


def inspect_data(
    file: DataFile,
    path: Path,
    *,
    where: str = "",
    wanted: Collection[Layout] = LAYOUTS,
    digest: Callable[[Path], str] = sha256_file,
) -> DataSet:
    """Check every row of `path`, which `file` declares at `where` (a place for errors).

    wanted: the layouts that the stage trains on (STAGE_LAYOUTS). Raises BadInput at the first
    row that is malformed, ambiguous, or of another layout than the first.
    """
    place = f"{where}: {display(path)}" if where else display(path)
    try:
        _check_columns(file)
        look = _look(file, path, wanted)
        _check_wanted(look.layout, wanted)
        if not look.full:
            raise RowProblem("every row is empty", "expected text to learn from")
    except RowProblem as problem:
        raise BadInput(_what(problem), where=_at(place, problem), fix=problem.expected) from None
    except OSError as error:
        raise BadInput(f"cannot be read: {error.strerror}", where=place) from error
    assert look.layout is not None
    samples = look.samples if file.limit is None else min(file.limit, look.samples)
    return DataSet(
        path=path,
        layout=look.layout,
        columns=look.columns,
        samples=samples,
        sha256=digest(path),
        limit=file.limit if samples < look.samples else None,
        first_prompts=tuple(look.prompts),
        convert=not look.plain or (not look.even and path.stat().st_size > _CHUNK),
        same_answers=look.same,
    )


def _what(problem: RowProblem) -> str:
    return f"row {problem.number}: {problem.what}" if problem.number else problem.what


def _at(place: str, problem: RowProblem) -> str:
    return f"{place}:{problem.line}" if problem.line else place


def _check_columns(file: DataFile) -> None:
    if file.columns and file.layout:
        for name in file.columns:
            if name not in COLUMNS[file.layout]:
                raise RowProblem(
                    f"the layout `{file.layout}` has no column `{name}`",
                    did_you_mean(name, COLUMNS[file.layout]),
                )


def _check_wanted(layout: Layout | None, wanted: Collection[Layout]) -> None:
    if layout is None:
        raise RowProblem("there are no rows in it", "expected at least one")
    if layout not in wanted:
        stages = [stage for stage, layouts in STAGE_LAYOUTS.items() if layout in layouts]
        raise RowProblem(
            f"the data has the layout `{layout}`, where this stage trains on {listed(wanted)}",
            f"`{layout}` is for stage {' or '.join(stages)}" if stages else "",
        )


@dataclass
class _Look:
    """What has been seen of a file so far."""

    given: dict[str, str] | None
    layout: Layout | None = None
    columns: dict[str, str] = field(default_factory=dict)
    samples: int = 0
    full: int = 0
    same: int = 0
    plain: bool = True
    prompts: list[Any] = field(default_factory=list)
    kinds: dict[str, type] = field(default_factory=dict)
    shape: tuple[str, ...] | None = None
    even: bool = True
    form: str | None = None

    def add(self, row: Row, layout: Layout) -> None:
        columns = self._columns(row, layout)
        sample = read_sample(layout, row.value, columns)
        self._same_form(sample, layout)
        self.plain = self._steady(row.value) and sample.plain and self.plain
        self._count(sample, layout)

    def _columns(self, row: Row, layout: Layout) -> dict[str, str]:
        """Optional columns may appear in later rows; the needed ones are in every row."""
        shape = tuple(row.value)
        if shape == self.shape:
            return self.columns  # the keys of the row before: nothing new to find
        self.even = self.even and self.shape is None
        self.shape = shape
        columns = columns_of(layout, row.value, self.given)
        if not has_needed(layout, columns):
            missing = [n for n in self.columns.values() if n not in row.value]
            raise RowProblem(
                f"the columns {listed(missing)} are missing"
                if missing
                else f"the columns are {listed(row.value)}",
                f"expected {needed(layout)}, as layout `{layout}` has, in every row",
            )
        for column, name in columns.items():
            if self.columns.setdefault(column, name) != name:
                raise RowProblem(
                    f"`{name}`, where the rows before have `{self.columns[column]}`",
                    "name each column the same in every row",
                )
        return self.columns

    def _same_form(self, sample: Sample, layout: Layout) -> None:
        """All rows hold conversations, or none does."""
        form = next((name for name in _FORMS if name in sample.row), "")
        if self.form is None:
            self.form = form
            if form and form not in self.columns:
                # Lists of messages carry their prompt in the answers.
                self.columns[form] = self.columns["chosen"]
        elif form != self.form:
            raise RowProblem(
                "text, where the rows before are conversations, or the other way round",
                f"write every row of layout `{layout}` the same way",
            )

    def _steady(self, row: dict[str, Any]) -> bool:
        """Whether every column keeps its type: the engine's loader stops where one does not."""
        for name, value in row.items():
            if value is None:
                self.even = False
                continue
            kind = float if type(value) is int else type(value)
            if self.kinds.setdefault(name, kind) is not kind:
                return False
            if kind in (list, dict) and name not in self.columns.values():
                return False
        return True

    def _count(self, sample: Sample, layout: Layout) -> None:
        if not (layout == "text" and sample.empty):
            self.samples += 1
        self.full += not sample.empty
        self.same += sample.same
        if len(self.prompts) < PROMPTS and sample.prompt is not None:
            self.prompts.append(sample.prompt)


def _look(file: DataFile, path: Path, wanted: Collection[Layout]) -> _Look:
    reading = reading_of(path)
    look = _Look(file.columns, layout=file.layout, plain=reading.plain)
    started = False
    for row in read_rows(path, reading):
        try:
            if not started:
                started = True
                _check_given(file, row)
                look.layout = file.layout or detect(row.value, file.columns, wanted)
            assert look.layout is not None
            look.add(row, look.layout)
        except RowProblem as problem:
            raise problem.at(row.number, row.line) from None
    if not started:
        raise RowProblem("there are no rows in it", "expected at least one")
    return look


def _check_given(file: DataFile, row: Row) -> None:
    for name in (file.columns or {}).values():
        if name not in row.value:
            raise RowProblem(
                f"there is no column `{name}`; the columns are {listed(row.value)}",
                did_you_mean(name, row.value),
            )
