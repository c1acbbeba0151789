"""Loading a declaration: YAML, overrides, interpolation, then the strict grammar.

Reads only. Every mistake is a BadInput with file, line, key, what was expected and the nearest
valid name.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

from llmops.errors import BadInput
from llmops.spec.deployment import Deployment
from llmops.spec.grammar import Spec
from llmops.spec.mistakes import mistakes
from llmops.spec.pipeline import Pipeline
from llmops.spec.recipe import KINDS
from llmops.spec.source import Key, Source, dotted, parse_scalar, parse_source, read_source
from llmops.spec.suggest import did_you_mean
from llmops.spec.suite import Suite

S = TypeVar("S", bound=Spec)
MODELS: dict[str, type[Spec]] = {"pipeline": Pipeline, "deployment": Deployment, "suite": Suite}
"""What is declared besides recipes."""


@dataclass(frozen=True)
class Loaded(Generic[S]):
    """A checked declaration with the source that it came from."""

    spec: S
    source: Source

    @property
    def path(self) -> Path:
        return self.source.path

    def bad(self, what: str, key: Sequence[str | int] = (), *, fix: str = "") -> BadInput:
        """An error about `key` of this file, with its line."""
        return BadInput(what, where=self.source.where(key), fix=fix)

    def file(self, text: str, key: Sequence[str | int], root: Path) -> Path:
        """The file that `key` means by `text`. Raises BadInput when there is none."""
        found = resolve_path(text, beside=self.path, root=root)
        if found is None:
            fix = f"looked beside {self.path.name} and in the project's root"
            raise self.bad(f"no such file: {text}", key, fix=fix)
        if not found.is_file():
            raise self.bad(f"not a file: {text}", key, fix="name a file in it")
        return found


@dataclass(frozen=True)
class Override:
    """A value that replaces one of a file's. origin: the place that says it, for errors."""

    key: str
    value: Any
    origin: str


def load_recipe(path: Path, overrides: Sequence[str | Override] = ()) -> Loaded[Any]:
    """A recipe of any registered kind. overrides: `key=value` as typed, or a pipeline's."""
    return _recipe(_prepare(read_source(path), overrides))


def _recipe(source: Source) -> Loaded[Any]:
    kind = source.data.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        what = "`kind` is missing" if kind is None else f"`{kind}` is not a kind of recipe"
        if "stages" in source.data and kind is None:
            what = "this is a pipeline, where a recipe is expected"
        elif "variants" in source.data and kind is None:
            what = "this is a deployment, where a recipe is expected"
        raise BadInput(
            what,
            where=source.where(("kind",) if kind is not None else ()),
            fix=did_you_mean(str(kind), KINDS),
        )
    return _check(source, KINDS[kind])


def load_pipeline(path: Path, overrides: Sequence[str] = ()) -> Loaded[Pipeline]:
    return _check(_prepare(read_source(path), overrides), Pipeline)


def load_deployment(path: Path, overrides: Sequence[str] = ()) -> Loaded[Deployment]:
    return _check(_prepare(read_source(path), overrides), Deployment)


def load_suite(path: Path) -> Loaded[Suite]:
    """A suite. Its items, when they lie in a file of their own, are read by
    `llmops.evaluation.items`."""
    return _check(_prepare(read_source(path), ()), Suite)


def load_data(data: dict[str, Any], model: type[S], place: Path) -> Loaded[S]:
    """A declaration that stands in no file. place: what errors call it; relative paths in it are
    relative to the folder of `place`."""
    return _check(Source(place, data), model)


def load_text(kind: str, text: str, place: Path) -> Loaded[Any]:
    """A `recipe`, `pipeline`, `deployment` or `suite` from its text. place: the file that it is
    meant for, which need not be there."""
    source = _prepare(parse_source(text, place), ())
    return _recipe(source) if kind == "recipe" else _check(source, MODELS[kind])


def load_target(path: Path, overrides: Sequence[str] = ()) -> Loaded[Any]:
    """A recipe or a pipeline, told apart by their top-level keys."""
    source = read_source(path)
    prepared = _prepare(source, overrides)
    return _check(prepared, Pipeline) if "stages" in source.data else _recipe(prepared)


def _prepare(source: Source, overrides: Sequence[str | Override]) -> Source:
    """The source with overrides applied and `${...}` resolved."""
    changed = [_typed(o) if isinstance(o, str) else o for o in overrides]
    places = {_key(o.key): o.origin for o in changed}
    source = replace(source, overridden=places)
    simple = {o.key: o.value for o in changed if _key(o.key) == (o.key,)}
    source = replace(source, data={**source.data, **simple})
    changed = [o for o in changed if o.key not in simple]
    if not changed and not _has_interpolation(source.data):
        return source  # importing OmegaConf costs as much as everything else here

    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    # What a declaration says is shown, logged and kept: no place for what the environment holds.
    OmegaConf.clear_resolver("oc.env")
    try:
        config = OmegaConf.create(source.data)
        for override in changed:
            key = dotted(_key(override.key))
            try:
                OmegaConf.update(config, key, override.value, merge=False, force_add=True)
            except (IndexError, TypeError) as error:
                what = f"`{key}` names nothing that can be set"
                fix = "it is of keys, and of places in lists, counted from 0"
                raise BadInput(what, where=override.origin, fix=fix) from error
        data = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        key = str(getattr(error, "full_key", "") or "")
        first = str(error).splitlines()[0]
        raise BadInput(first, where=source.where(_key(key) if key else ())) from error
    assert isinstance(data, dict)
    return replace(source, data={str(k): v for k, v in data.items()})


def _has_interpolation(value: Any) -> bool:
    """Whether OmegaConf would read something else than what is written: `${...}` or `???`."""
    if isinstance(value, dict):
        return any(not isinstance(k, str) or _has_interpolation(v) for k, v in value.items())
    if isinstance(value, list):
        return any(_has_interpolation(item) for item in value)
    return isinstance(value, str) and ("${" in value or value == "???")


def _typed(text: str) -> Override:
    """`args.learning_rate=1e-3` from a command line."""
    key, equals, value = text.partition("=")
    if not equals or not all(str(part) for part in _key(key)):
        raise BadInput(
            f"`{text}` is not an override", fix="overrides look like args.learning_rate=1e-3"
        )
    return Override(key, _from_here(key, parse_scalar(value)), f"override {key}")


def _key(text: str) -> Key:
    """`data.train[0].path` and `data.train.0.path` as ("data", "train", 0, "path")."""
    parts = text.replace("[", ".").replace("]", "").split(".")
    return tuple(int(part) if part.isdigit() else part for part in parts)


def _from_here(key: str, value: Any) -> Any:
    """A relative path given on the command line is relative to the working directory."""
    if not isinstance(value, str):
        return value
    scheme, colon, rest = value.partition(":")
    if colon and scheme in ("path", "recipe"):
        return f"{scheme}:{(Path.cwd() / rest)}" if (Path.cwd() / rest).exists() else value
    if key.rpartition(".")[2] == "path" and (Path.cwd() / value).exists():
        return str(Path.cwd() / value)
    return value


def resolve_path(text: str, *, beside: Path, root: Path) -> Path | None:
    """The file that a declaration in `beside` means by `text`: absolute, beside it, or from the
    project's root. None when there is none."""
    text = os.path.expanduser(text)
    for folder in (os.path.dirname(beside), root):
        candidate = os.path.realpath(os.path.join(folder, text))
        if os.path.exists(candidate):
            return Path(candidate)
    return None


def _check(source: Source, model: type[S]) -> Loaded[S]:
    try:
        return Loaded(model.model_validate(source.data), source)
    except ValidationError as error:
        raise mistakes(error, source, model) from error
