"""What is wrong with a declaration, in the user's words: pydantic's errors by key and line, with
what was expected and the nearest valid name."""

from collections.abc import Sequence
from typing import Any, get_args

from pydantic import TypeAdapter, ValidationError

from llmops.errors import BadInput
from llmops.spec.grammar import Duration, Size, Spec
from llmops.spec.reference import NAME
from llmops.spec.source import Key, Source
from llmops.spec.suggest import did_you_mean, nearest, unfit


class Mistakes(BadInput):
    """All that is wrong with a declaration; the first leads, and its `fix` tells the others."""

    def __init__(self, problems: Sequence[BadInput]) -> None:
        first, *rest = self.problems = problems
        fix = "\n  ".join([part for part in [first.fix] if part] + [str(p) for p in rest])
        super().__init__(first.what, where=first.where, fix=fix)


def mistakes(error: ValidationError, source: Source, model: type[Spec]) -> Mistakes:
    """Those of `source`, which is no `model`."""
    found = _relevant(error, source.data)
    return Mistakes([_problem(item, source, model) for item in found])


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
        if isinstance(data, dict) and part in data:
            data = data[part]
        elif isinstance(part, str) and (
            part in ("float", "str", "[key]") or part.startswith(("list[", "function-", "dict["))
        ):
            continue
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
