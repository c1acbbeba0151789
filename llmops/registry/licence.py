"""Under which licence weights and data may be used, as their own files say. What nothing says is
unknown; nothing here guesses."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from llmops.engines.contract import DataSet
from llmops.errors import BadInput
from llmops.registry.files import CARD, LICENCES
from llmops.registry.locate import Located
from llmops.registry.manifest import Licences
from llmops.spec.source import parse_source


def licence_of(directory: Path) -> str | None:
    """Of the model in `directory`: as its card says, else the title of its licence's text."""
    return _of_card(directory / CARD) or next(filter(None, map(_title, _files(directory))), None)


def made_from(base: Located | None, data: Sequence[DataSet] = ()) -> Licences:
    """Of what is trained from `base` on `data`: what either had to heed goes on."""
    known = Licences()
    if base is not None and base.manifest is not None:
        known = base.manifest.licences
    elif base is not None:
        known = Licences(base=licence_of(base.files.directory))
    of_data = {one.reference: one.licence or _of_card(_card_of(one.path)) for one in data}
    both = " and ".join(dict.fromkeys(filter(None, (known.base, known.own))))
    return Licences(base=both or None, data={**known.data, **of_data})


def _of_card(card: Path) -> str | None:
    """`license` of the YAML in front of a model's or data set's card, as the Hub has it: an id, a
    list of ids, or `other` with a name beside it."""
    text = _read(card)
    head, end, _ = text.removeprefix("---\n").partition("\n---")
    if not text.startswith("---\n") or not end:
        return None
    try:
        said: dict[str, Any] = parse_source(head, card).data
    except BadInput:
        return None  # a card that nobody can read says nothing
    named = said.get("license")
    if named == "other":
        named = said.get("license_name") or named
    names = named if isinstance(named, list) else [named]
    return " and ".join(str(one) for one in names if one) or None


def _card_of(data: Path) -> Path:
    """Beside a data file; in a download of a Hub repository at its top."""
    top = next((one for one in data.parents if one.parent.name == "snapshots"), data.parent)
    return top / CARD


def _files(directory: Path) -> list[Path]:
    return [directory / name for name in LICENCES]


def _title(file: Path) -> str | None:
    """The first line of a licence's text, and the version that stands below it."""
    lines = [line.strip() for line in _read(file).splitlines() if line.strip()][:2]
    return ", ".join(line for line in lines if line == lines[0] or line.startswith("Version"))


def _read(file: Path) -> str:
    """Its beginning; nothing where it is not there or is no text."""
    try:
        with file.open(encoding="utf-8-sig") as opened:
            return opened.read(64 << 10)
    except (OSError, UnicodeDecodeError):
        return ""
