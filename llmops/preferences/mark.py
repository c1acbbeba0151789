"""Whether the log is as it was, told from files: so a plan of what is up to date opens no database
and imports no Polars.

A recipe's yield is remembered beside the sizes and times of the database's files and the journal's
segments. A database elsewhere (PostgreSQL), no log at all, a window that moves (`since`) and a log
that grew while it was read are looked at again each time. Losing the memory only costs time.
"""

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from llmops.preferences.report import Report
from llmops.preferences.source import has_log
from llmops.spec.grammar import Spec
from llmops.spec.preferences import PreferencesRecipe
from llmops.spec.settings import Settings
from llmops.store.digest import sha256_json
from llmops.store.files import mark_of
from llmops.store.memory import Memory
from llmops.store.paths import ProjectPaths

FORMAT = 1
"""Raised whenever the builders change what they make of the same log."""


class Yield(Spec):
    """What a recipe makes of the log. digest: of the rows."""

    digest: str
    report: Report


def mark(settings: Settings, recipe: PreferencesRecipe) -> str | None:
    """The state of what a recipe reads; None where files do not tell it."""
    if settings.database is not None or recipe.since is not None or not has_log(settings):
        return None
    paths = ProjectPaths(settings.root)
    database = paths.database
    files = [database, database.with_name(f"{database.name}-wal"), paths.verdicts]
    segments = sorted(paths.journal.glob("*/*.jsonl"))
    return sha256_json(
        [
            FORMAT,
            str(settings.root),
            recipe.model_dump(mode="json"),
            [_state(file) for file in files],
            [[str(file.relative_to(paths.journal)), _state(file)] for file in segments],
        ]
    )


def _state(file: Path) -> list[Any]:
    """An empty file is as good as none."""
    mark = mark_of(file)
    return [*mark] if mark is not None and mark[0] else []


class Yields:
    """Remembered yields, the last of each recipe."""

    def __init__(self, paths: ProjectPaths) -> None:
        self._memory = Memory(paths.yields)

    def get(self, recipe: PreferencesRecipe, mark: str | None) -> Yield | None:
        known = self._memory.get(_key(recipe)) if mark else None
        if not isinstance(known, dict) or known.get("mark") != mark:
            return None
        try:
            return Yield.model_validate(known["yield"])
        except (KeyError, ValidationError):
            return None

    def put(self, recipe: PreferencesRecipe, mark: str, found: Yield) -> None:
        value = {"mark": mark, "yield": found.model_dump(mode="json")}
        self._memory.put(_key(recipe), value)
        self._memory.save()


def _key(recipe: PreferencesRecipe) -> str:
    return sha256_json(recipe.model_dump(mode="json"))
