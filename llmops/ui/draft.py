"""What someone edits: a declaration's text, the file that it came from, what differs.

A change that an override can say needs no saving: a run may start with it, and the file stays.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from llmops.errors import BadInput
from llmops.runner.scope import EVERYTHING, Scope
from llmops.ui.yaml_edit import data_of, written

NEW = {"recipe": "recipes/new.yaml", "pipeline": "pipelines/new.yaml"}

Opened = tuple[str, bool]
"""A path, and whether it is a new file."""


@dataclass(frozen=True)
class Draft:
    """path: of the file; digest, saved: of what it holds, None and empty for one that is not there
    yet; text: as it is now; planned: what the shown plan is of, the text first; scope: which stages
    that was about; aside: drafts of other files, with changes that are not saved."""

    path: str
    kind: str
    text: str
    saved: str = ""
    digest: str | None = None
    planned: tuple[object, ...] = ()
    scope: Scope = EVERYTHING
    aside: tuple["Draft", ...] = ()

    @property
    def place(self) -> Opened:
        return self.path, self.is_new

    @property
    def is_new(self) -> bool:
        return self.digest is None

    @property
    def is_changed(self) -> bool:
        return self.text != self.saved

    def with_text(self, text: str) -> "Draft":
        return replace(self, text=text)

    def all_changed(self) -> tuple["Draft", ...]:
        """This draft and those aside, as far as they have changes."""
        own = replace(self, aside=(), planned=())
        return (*self.aside, own) if self.is_changed else self.aside

    def overrides(self) -> list[str]:
        """What to start the file with, so that it is as the text says.

        Raises BadInput for a change that no override says: a key that is taken out.
        """
        if self.text == self.saved:
            return []
        return _changes(data_of(self.saved), data_of(self.text), "")


def _changes(old: Mapping[str, Any], new: Mapping[str, Any], before: str) -> list[str]:
    found: list[str] = []
    for key in old:
        if key not in new:
            raise BadInput(
                f"`{before}{key}` is taken out, which no override can say", fix="save it first"
            )
    for key, value in new.items():
        name = f"{before}{key}"
        if key in old and old[key] == value and type(old[key]) is type(value):
            continue
        if "." in str(key):
            raise BadInput(f"`{name}` cannot be an override: it has a dot", fix="save it first")
        if isinstance(value, dict) and isinstance(old.get(key), dict):
            found += _changes(old[key], value, f"{name}.")
        elif isinstance(value, list) and isinstance(old.get(key), list) and _alike(old[key], value):
            pairs = zip(old[key], value, strict=True)
            for at, (one, other) in enumerate(pairs):
                found += _changes(one, other, f"{name}.{at}.")
        else:
            found.append(f"{name}={written(value)}")
    return found


def _alike(old: list[Any], new: list[Any]) -> bool:
    """Lists of as many mappings: changes are told within them."""
    return len(old) == len(new) and all(isinstance(one, dict) for one in [*old, *new])
