"""The option set of one installed LLaMA-Factory: names, types, choices, templates.

Reading the source takes about 0.3 s, so the set is kept in the user's cache, keyed by both
versions and by the size and time of each source file. Losing the cache only costs time.
"""

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from llmops.engines.contract import Environment
from llmops.engines.llamafactory import optimizers, schedules
from llmops.engines.llamafactory.optimizers import Optimizer, read_optimizers
from llmops.engines.llamafactory.schedules import read_schedules
from llmops.engines.llamafactory.signatures import (
    SOURCES,
    WORDS,
    Option,
    read_options,
    read_templates,
    read_words,
)
from llmops.errors import Failed
from llmops.store.atomic import write_json
from llmops.store.digest import sha256_json

# Raised when OptionSet or how it is read changes, so that an older cache is not taken for it.
_FORMAT = 4


@dataclass(frozen=True)
class OptionSet:
    """Every option by name, and every template. schedules: by `lr_scheduler_type`, what may stand
    under `lr_scheduler_kwargs`; optimizers: by `optim`. One that is missing is not known."""

    options: dict[str, Option]
    templates: tuple[str, ...]
    schedules: dict[str, tuple[Option, ...]] = field(default_factory=dict)
    optimizers: dict[str, Optimizer] = field(default_factory=dict)


def option_set(environment: Environment, cache: Path | None = None) -> OptionSet:
    """The options of `environment`; `cache` is a directory to remember them in."""
    file = None
    if cache is not None:
        file = cache / f"{environment.engine}-{environment.version}-{_mark(environment)}.json"
        known = _load(file)
        if known is not None:
            return known
    found = _read(environment.site)
    if file is not None:
        _save(file, found)
    return found


def _read(site: Path) -> OptionSet:
    options = {option.name: option for option in read_options(site)}
    for name, words in read_words(site).items():
        if name in options:
            options[name] = replace(options[name], choices=words)
    templates = tuple(read_templates(site))
    return OptionSet(options, templates, read_schedules(site), read_optimizers(site))


def transformers_version(site: Path) -> str:
    """The version of transformers in `site`; empty when it has no metadata."""
    for folder in site.glob("transformers-*.dist-info"):
        return folder.name.removeprefix("transformers-").removesuffix(".dist-info")
    return ""


def _mark(environment: Environment) -> str:
    """Changes whenever a source file does, also in an environment of the user's own."""
    marks: list[Any] = [_FORMAT]
    for name in (*SOURCES, *WORDS, schedules.SOURCE, optimizers.SOURCE):
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
        return OptionSet(
            {item["name"]: _option(item) for item in data["options"]},
            tuple(data["templates"]),
            {name: tuple(map(_option, items)) for name, items in data["schedules"].items()},
            {name: Optimizer(**item) for name, item in data["optimizers"].items()},
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _option(item: dict[str, Any]) -> Option:
    lists = {key: tuple(item[key]) for key in ("types", "choices")}
    return Option(**{**item, **lists})


def as_json(found: OptionSet) -> dict[str, Any]:
    """As it is remembered."""
    return {**asdict(found), "options": [asdict(option) for option in found.options.values()]}


def _save(file: Path, found: OptionSet) -> None:
    value = as_json(found)
    try:
        write_json(file, value)
    except (Failed, OSError):
        # A cache that cannot be written is no reason not to plan.
        return
