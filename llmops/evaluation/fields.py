"""An item's fields in a suite's texts: `{answer}` becomes what the item's field `answer` holds."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from llmops.spec.suite import Texts

_FIELD = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")


class MissingField(Exception):
    """An item lacks a field that a text names."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def filled(text: str, fields: Mapping[str, Any], *, pattern: bool = False) -> str:
    """The text with every field in it. pattern: the text is a regular expression, in which what a
    field holds means itself. Raises MissingField."""

    def value(match: re.Match[str]) -> str:
        found = as_text(_of(match[1], fields))
        return re.escape(found) if pattern else found

    return _FIELD.sub(value, text)


def texts(value: Texts, fields: Mapping[str, Any]) -> list[str]:
    """The texts that are meant: each filled, a field that holds a list as all of its elements.
    Raises MissingField."""
    return [one for text in _several(value) for one in _expanded(text, fields)]


def _expanded(text: str, fields: Mapping[str, Any]) -> Iterator[str]:
    alone = _FIELD.fullmatch(text)
    held = _of(alone[1], fields) if alone else None
    if isinstance(held, list):
        yield from (as_text(one) for one in held)
    else:
        yield filled(text, fields)


def _several(value: Texts) -> list[str]:
    return [value] if isinstance(value, str) else value


def _of(name: str, fields: Mapping[str, Any]) -> Any:
    if fields.get(name) is None:
        raise MissingField(name)
    return fields[name]


def as_text(value: Any) -> str:
    """A field's value as it would be written: `true`, not `True`."""
    return str(value).lower() if isinstance(value, bool) else str(value)
