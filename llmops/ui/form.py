"""A form made from a grammar (JSON Schema) and a declaration: what is there becomes fields, what
could be there can be added.

Knows nothing of recipes or pipelines: a key that the grammar grows tomorrow has a field. What it
cannot show as a field is shown as YAML on one line.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from llmops.errors import BadInput
from llmops.spec.source import parse_scalar
from llmops.ui.yaml_edit import quoted, written

Kind = Literal["text", "number", "flag", "choice", "yaml"]
Path_ = tuple[str | int, ...]
Schema = Mapping[str, Any]


@dataclass(frozen=True)
class Field:
    """One value. value: as it stands in the input; choices: of a choice; required: it may not be
    taken out."""

    path: Path_
    label: str
    kind: Kind
    value: str
    help: str = ""
    required: bool = False
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Group:
    """Keys, or the items of a list. absent: keys that can be added, with what they mean; free: keys
    of any name can be; grows: items can be appended."""

    path: Path_
    label: str
    items: "tuple[Field | Group, ...]" = ()
    help: str = ""
    required: bool = False
    absent: tuple[tuple[str, str], ...] = ()
    free: bool = False
    grows: bool = False


def form(schema: Schema, data: Mapping[str, Any]) -> Group:
    """schema: of GET /schemas/KIND."""
    return _Maker(schema).group((), "", schema, data, required=True)


def snippet(kind: Kind, text: str) -> str:
    """What was entered in a field, as YAML on one line. Raises BadInput when it is none."""
    if kind in ("text", "choice"):
        return quoted(text)
    if kind == "flag":
        return "true" if text == "true" else "false"
    if "\n" in text or " #" in text or text.startswith("#"):
        raise BadInput(f"`{text}` is not a value on one line")
    value = parse_scalar(text)
    if kind == "number" and (not isinstance(value, int | float) or isinstance(value, bool)):
        return quoted(text)  # what is wrong with it is told beside the text
    return text.strip() or '""'


def added(schema: Schema, data: Mapping[str, Any], path: Path_) -> str:
    """The value that a key begins with when it is added at `path`, as YAML on one line."""
    maker = _Maker(schema)
    node: Any = schema
    value: Any = data
    like: Any = None
    for part in path:
        node = maker.below(node, value, part)
        like = value[0] if isinstance(value, list) and value else None
        value = _value(value, part)
    return written(maker.least(node, like))


def _value(value: Any, part: str | int) -> Any:
    if isinstance(value, dict):
        return value.get(part)
    if isinstance(value, list) and isinstance(part, int) and part < len(value):
        return value[part]
    return None


class _Maker:
    def __init__(self, schema: Schema) -> None:
        self._defs: Schema = schema.get("$defs", {})

    def plain(self, node: Any, value: Any) -> dict[str, Any]:
        """A schema without references and alternatives: that of the alternatives which the value
        is of, or the first; what is said beside them holds too."""
        node = dict[str, Any](node) if isinstance(node, Mapping) else {}
        if "$ref" in node:
            found: Schema = self._defs.get(str(node.pop("$ref")).rpartition("/")[2], {})
            node = {**found, **{k: v for k, v in node.items() if k != "$defs"}}
            return self.plain(node, value)
        mapping = node.get("discriminator", {}).get("mapping")
        if mapping:
            key = node["discriminator"]["propertyName"]
            kind = value.get(key) if isinstance(value, dict) else None
            chosen = self.plain({"$ref": mapping.get(kind, "")}, value) if kind in mapping else {}
            first = {"enum": list(mapping), "type": "string"}
            properties = {**chosen.get("properties", {}), key: first}
            return {"type": "object", **chosen, "properties": properties}
        for word in ("anyOf", "oneOf"):
            if word in node:
                options = [self.plain(one, value) for one in node.pop(word)]
                options = [one for one in options if one.get("type") != "null"]
                fitting = [one for one in options if _fits(one, value)]
                best = (fitting or options or [{}])[0]
                return {**best, **{k: v for k, v in node.items() if v is not None}}
        return dict(node)

    def group(self, path: Path_, label: str, node: Any, value: Any, *, required: bool) -> Group:
        """node: of an object or an array."""
        plain = self.plain(node, value)
        keys = list(value) if isinstance(value, dict) else range(len(value or []))
        needed = set(plain.get("required", ()))
        items = tuple(
            self._item(
                (*path, key), str(key), self.below(node, value, key), value[key], key in needed
            )
            for key in keys
        )
        properties = plain.get("properties", {})
        absent = tuple(
            (key, _help(self.plain(one, None)))
            for key, one in properties.items()
            if isinstance(value, dict) and key not in value
        )
        return Group(
            path=path,
            label=label,
            items=items,
            help=_help(plain),
            required=required,
            absent=absent,
            free=plain.get("type") == "object" and self.free(plain) is not None,
            grows=plain.get("type") == "array",
        )

    def _item(
        self, path: Path_, label: str, node: Any, value: Any, required: bool
    ) -> Field | Group:
        plain = self.plain(node, value)
        if isinstance(value, dict) and (plain.get("properties") or plain.get("type") == "object"):
            return self.group(path, label, node, value, required=required)
        if isinstance(value, list) and value and all(isinstance(one, dict) for one in value):
            return self.group(path, label, node, value, required=required)
        kind = _kind(plain, value)
        choices = tuple(str(one) for one in plain.get("enum", ()) if one is not None)
        return Field(
            path=path,
            label=label,
            kind=kind,
            value=_shown(value, kind),
            help=_help(plain),
            required=required,
            choices=choices,
        )

    def below(self, node: Any, value: Any, key: str | int) -> Any:
        """The schema of a key of that object, or of an item of that array."""
        plain = self.plain(node, value)
        if isinstance(key, int):
            return plain.get("items", {})
        found = plain.get("properties", {}).get(key)
        if found is not None:
            return found
        return self.free(plain) or {}

    def free(self, plain: Schema) -> Schema | None:
        """The schema of keys of any name; None where there are none."""
        named = plain.get("patternProperties")
        if isinstance(named, Mapping) and named:
            found: Schema = next(iter(named.values()))
            return found
        free = plain.get("additionalProperties")
        if isinstance(free, Mapping):
            return free
        return {} if free else None

    def least(self, node: Any, like: Any = None) -> Any:
        """The least value that the schema may take. like: an item of the list that it joins."""
        plain = self.plain(node, like)
        if plain.get("default") is not None:
            return plain["default"]
        if "const" in plain or "enum" in plain:
            return plain.get("const", next(iter(plain.get("enum", ())), ""))
        match plain.get("type"):
            case "object":
                properties = plain.get("properties", {})
                keys = plain.get("required") or (list(like)[:1] if isinstance(like, dict) else ())
                return {key: self.least(properties.get(key, {})) for key in keys}
            case "array":
                return [self.least(plain["items"])] * int(plain.get("minItems", 0))
            case "boolean":
                return True  # it is added to be other than it is
            case "integer" | "number":
                return plain.get("minimum", 1)
        return ""


def _fits(node: Schema, value: Any) -> bool:
    types: dict[str, Any] = {
        "string": str, "integer": int, "number": (int, float), "boolean": bool,
        "array": list, "object": dict,
    }  # fmt: skip
    kind = types.get(str(node.get("type")))
    if kind is None or (isinstance(value, bool) and kind is not bool):
        return False
    return isinstance(value, kind) and ("enum" not in node or value in node["enum"])


def _kind(node: Schema, value: Any) -> Kind:
    """By the grammar; by the value where the grammar leaves it open, or is not kept to."""
    if isinstance(value, dict | list) or value is None:
        return "yaml"
    if "enum" in node and str(value) in [str(one) for one in node["enum"]]:
        return "choice"
    match node.get("type"):
        case "boolean" if isinstance(value, bool):
            return "flag"
        case "integer" | "number":
            return "number"
        case "string":
            return "text"
    if isinstance(value, bool):
        return "flag"
    return "number" if isinstance(value, int | float) else "text"


def _shown(value: Any, kind: Kind) -> str:
    if kind == "yaml":
        return "" if value is None else written(value)
    return (
        written(value) if kind in ("number", "flag") and not isinstance(value, str) else str(value)
    )


def _help(node: Schema) -> str:
    return str(node.get("description") or "").split("\n\n")[0].replace("\n", " ")
