"""The option set of one installed LLaMA-Factory: names, types, choices, templates.

Reading the source takes about 0.3 s, so the set is kept in the user's cache, keyed by both
versions and by the size and time of each source file. Losing the cache only costs time.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from llmops.engines.contract import Environment
from llmops.engines.llamafactory.signatures import (
    SOURCES,
    Option,
    read_options,
    read_templates,
)
from llmops.errors import Failed
from llmops.store.atomic import write_json
from llmops.store.digest import sha256_json

# Raised when Option changes, so that an older cache is not read as the newer form.
_FORMAT = 3


@dataclass(frozen=True)
class OptionSet:
    """Every option by name, and every template."""

    options: dict[str, Option]
    templates: tuple[str, ...]


def option_set(environment: Environment, cache: Path | None = None) -> OptionSet:
    """The options of `environment`; `cache` is a directory to remember them in."""
    file = None
    if cache is not None:
        file = cache / f"{environment.engine}-{environment.version}-{_mark(environment)}.json"
        known = _load(file)
        if known is not None:
            return known
    found = OptionSet(
        {option.name: option for option in read_options(environment.site)},
        tuple(read_templates(environment.site)),
    )
    if file is not None:
        _save(file, found)
    return found


def transformers_version(site: Path) -> str:
    """The version of transformers in `site`; empty when it has no metadata."""
    for folder in site.glob("transformers-*.dist-info"):
        return folder.name.removeprefix("transformers-").removesuffix(".dist-info")
    return ""


def _mark(environment: Environment) -> str:
    """Changes whenever a source file does, also in an environment of the user's own."""
    marks: list[Any] = [_FORMAT]
    for name in SOURCES:
        try:
            stat = (environment.site / name).stat()
        except OSError:
            marks.append([name, None])
        else:
            marks.append([name, stat.st_size, stat.st_mtime_ns])
    version = transformers_version(environment.site)
    return f"transformers-{version}-{sha256_json(marks)[:12]}"


def _load(file: Path) -> OptionSet | None:
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
        options = {
            item["name"]: Option(
                **{**item, "types": tuple(item["types"]), "choices": tuple(item["choices"])}
            )
            for item in data["options"]
        }
        return OptionSet(options, tuple(data["templates"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _save(file: Path, found: OptionSet) -> None:
    value = {
        "options": [asdict(option) for option in found.options.values()],
        "templates": list(found.templates),
    }
    try:
        write_json(file, value)
    except (Failed, OSError):
        # A cache that cannot be written is no reason not to plan.
        return
