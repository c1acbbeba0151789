"""Loading a declaration: YAML, overrides, interpolation, then the strict grammar.

Reads only. Every mistake is a BadInput with file, line, key, what was expected and the nearest
valid name.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, TypeVar, get_args

from pydantic import TypeAdapter, ValidationError

from llmops.errors import BadInput
from llmops.spec.deployment import Deployment
from llmops.spec.grammar import Duration, Size, Spec
from llmops.spec.pipeline import Pipeline
from llmops.spec.recipe import KINDS
from llmops.spec.reference import NAME
from llmops.spec.source import Key, Source, dotted, parse_scalar, parse_source, read_source
from llmops.spec.suggest import did_you_mean, nearest, unfit
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


class Mistakes(BadInput):
    """All that is wrong with a declaration; the first leads, and its `fix` tells the others."""

    def __init__(self, problems: Sequence[BadInput]) -> None:
        first, *rest = self.problems = problems
        fix = "\n  ".join([part for part in [first.fix] if part] + [str(p) for p in rest])
        super().__init__(first.what, where=first.where, fix=fix)


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
        found = _relevant(error, source.data)
        raise Mistakes([_problem(item, source, model) for item in found]) from error


def _relevant(error: ValidationError, data: Any) -> list[Any]:
    """Of the branches of a union only the errors of the one that got furthest are of use."""
    deepest: dict[Key, Any] = {}
    for item in error.errors(include_url=False):
        place = _place(item["loc"], data)
        if place not in deepest or str(deepest[place]["type"]).endswith("_type"):
            deepest[place] = item  # a branch for values of this type tells more than one for others
    return list(deepest.values())


def _place(loc: tuple[int | str, ...], data: Any) -> Key:
    """pydantic's location without the names of union branches and validators: those stand in the
    middle of it, and are no keys of the data."""
    place: list[int | str] = []
    for position, part in enumerate(loc):
        if isinstance(part, str) and (
            part in ("float", "str", "[key]") or part.startswith(("list[", "function-", "dict["))
        ):
            continue
        if isinstance(data, dict) and part in data:
            data = data[part]
        elif isinstance(part, int):
            data = data[part] if isinstance(data, list) and part < len(data) else None
        elif position < len(loc) - 1:
            continue
        place.append(part)
    return tuple(place)


def _problem(item: Any, source: Source, model: type[Spec]) -> BadInput:
    place = _place(item["loc"], source.data)
    where = source.where(place)
    name = str(place[-1]) if place else ""
    match item["type"]:
        case "extra_forbidden":
            known = _known_keys(model, place[:-1])
            return BadInput(f"unknown key `{name}`", where=where, fix=did_you_mean(name, known))
        case "missing":
            return BadInput(
                f"the key `{name}` is missing",
                where=source.where(place[:-1]),
                fix=_misspelt(name, source, model, place[:-1]),
            )
        case "literal_error":
            return _not_allowed(str(item["input"]), item["ctx"]["expected"], where)
        case "union_tag_invalid":
            tag = item["ctx"]["discriminator"].strip("'")
            key = (*place, tag)
            return _not_allowed(item["ctx"]["tag"], item["ctx"]["expected_tags"], source.where(key))
        case "string_pattern_mismatch":
            shape = _shape(item["ctx"]["pattern"])
            return BadInput(f"`{item['input']}` is not {shape}", where=where)
        case _:
            return BadInput(unfit(item), where=where)


_FORMS = {
    r"^(stage|experiment):.+": "stage:NAME or experiment:NAME",
    r"^https?://": "a URL that begins with http:// or https://",
    r"^[A-Z][A-Z0-9_]*$": "the name of an environment variable: capitals, digits and `_`",
    r"^(thumbs|rating|regenerate|metric:.+)$": "thumbs, rating, regenerate or metric:NAME",
}
"""Patterns of the grammar, in words."""


def _shape(pattern: str) -> str:
    """What a text of this pattern is, in words where there are some."""
    if pattern == f"^{NAME}$":
        return (
            "a name: lower-case letters, digits, `.`, `_`, `-`, at most 64, starting with a letter "
            "or digit"
        )
    for word, form in (("duration", Duration), ("size", Size)):
        schema = TypeAdapter(form).json_schema()
        if pattern == schema["pattern"]:
            return f"a {word}, such as {schema['description']}"
    return _FORMS.get(pattern, f"of the form {pattern}")


def _not_allowed(value: str, expected: str, where: str) -> BadInput:
    """expected: the allowed values as pydantic lists them."""
    allowed = [text.strip("'") for text in expected.replace(" or ", ", ").split(", ")]
    listed = ", ".join(f"`{a}`" for a in allowed)
    fix = did_you_mean(value, allowed, listing=0)
    return BadInput(f"`{value}` is not one of {listed}", where=where, fix=fix)


def _misspelt(name: str, source: Source, model: type[Spec], parent: Key) -> str:
    """When a key is missing, an unknown one beside it may be meant."""
    value: Any = source.data
    for part in parent:
        value = value[part]
    if not isinstance(value, dict):
        return ""
    unknown = [str(k) for k in value if str(k) not in _known_keys(model, parent)]
    near = nearest(name, unknown)
    return f"`{near}` is unknown; did you mean `{name}`?" if near else ""


def _known_keys(model: Any, place: Key) -> list[str]:
    """The keys that the grammar knows at `place` below `model`."""
    found = [model]
    for part in place:
        nexts: list[Any] = []
        for kind in found:
            fields = getattr(kind, "model_fields", None)
            if fields is not None and part in fields:
                nexts.append(fields[part].annotation)
        # A list's index or a mapping's own key is no field: what it holds was found above.
        found = _flatten(nexts) or found
    return [name for kind in found for name in getattr(kind, "model_fields", {})]


def _flatten(kinds: list[Any]) -> list[Any]:
    """The models inside lists, dicts, unions and annotations."""
    out: list[Any] = []
    for kind in kinds:
        inner = get_args(kind)
        if inner:
            out.extend(_flatten(list(inner)))
        else:
            out.append(kind)
    return out
