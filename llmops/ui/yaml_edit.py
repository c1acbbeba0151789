"""Changing one key in a YAML text and nothing else: comments, order and layout stay.

    set_key(text, ("args", "learning_rate"), "1e-3")
    remove_key(text, ("resources",))

Works on the places of the parsed nodes. Each result is parsed and compared with what was meant; a
text in which the key cannot be changed that way (anchors, tags) is refused, never spoilt.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from llmops.errors import BadInput
from llmops.spec.source import parse_scalar, parse_source

Path_ = Sequence[str | int]
_UNPLAIN = set("\n\t\"'#,[]{}&*!|>%@`")


def data_of(text: str) -> dict[str, Any]:
    """The text as data; an empty one is an empty mapping. Raises BadInput, with the line."""
    bare = all(not line.strip() or line.lstrip().startswith("#") for line in text.splitlines())
    return (
        {}
        if bare
        else parse_source(
            text,
            Path("text"),
        ).data
    )


def written(value: Any) -> str:
    """A value as YAML on one line."""
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{quoted(str(k))}: {written(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(written(item) for item in value) + "]"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def quoted(text: str) -> str:
    """A string as YAML: plain where it stays the same string."""
    plain = (
        text == text.strip()
        and not set(text) & _UNPLAIN
        and text[:1] not in ("-", "?", ":", "")
        and ": " not in text
        and not text.endswith(":")
        and text.isprintable()
    )
    if plain and parse_scalar(text) == text:
        return text
    return '"' + "".join(_escaped(one) for one in text) + '"'


def _escaped(one: str) -> str:
    known = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t"}
    if one in known:
        return known[one]
    if one.isprintable():
        return one
    code = ord(one)
    return (
        f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}"
    )


def set_key(text: str, path: Path_, snippet: str) -> str:
    """The text with the value at `path` as `snippet` says, which is YAML on one line; keys on the
    way that are not there are made; the index after a list's last appends.

    Raises BadInput when the text is no YAML, or the key cannot be changed on its own.
    """
    meant = _unshared(data_of(text))
    _put(meant, path, parse_scalar(snippet))
    return _checked(_set(text, tuple(path), snippet), meant, path)


def remove_key(text: str, path: Path_) -> str:
    """The text without the key, or the item of a list, at `path`. Raises BadInput."""
    meant = _unshared(data_of(text))
    holder = _at(meant, path[:-1])
    try:
        del holder[path[-1]]
    except (KeyError, IndexError, TypeError):
        raise BadInput(f"there is no key `{_name(path)}`") from None
    return _checked(_removed(text, tuple(path)), meant, path)


def _checked(text: str, meant: Any, path: Path_) -> str:
    try:
        found = data_of(text)
    except BadInput:
        found = None
    if found != meant:
        raise BadInput(
            f"`{_name(path)}` cannot be changed here without touching the rest",
            fix="change it in the text",
        )
    return text


def _name(path: Path_) -> str:
    return ".".join(str(part) for part in path)


def _at(data: Any, path: Path_) -> Any:
    for part in path:
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            raise BadInput(f"there is no key `{_name(path)}`") from None
    return data


def _unshared(data: Any) -> Any:
    """A copy in which what an anchor names twice is there twice."""
    if isinstance(data, dict):
        return {key: _unshared(value) for key, value in data.items()}
    return [_unshared(item) for item in data] if isinstance(data, list) else data


def _put(data: Any, path: Path_, value: Any) -> None:
    """What the text is to say afterwards."""
    last: Any = path[-1]
    for at, part in enumerate(path[:-1]):
        inner = data.get(part) if isinstance(data, dict) else _at(data, [part])
        if inner is None and isinstance(data, dict):
            inner = data[part] = [] if isinstance(path[at + 1], int) else {}
        data = inner
    if isinstance(data, list) and last == len(data):
        data.append(value)
    elif isinstance(data, dict) or (isinstance(data, list) and last in range(len(data))):
        data[last] = value
    else:
        raise BadInput(f"there is no place for `{_name(path)}`", fix="change it in the text")


def _set(text: str, path: tuple[str | int, ...], snippet: str) -> str:
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if root is None:
        return text + ("" if text.endswith("\n") or not text else "\n") + _block(path, snippet, 0)
    node, key = root, None
    for at, part in enumerate(path):
        found = _child(node, part)
        if found is None:
            return _added(text, node, key, path[at:], snippet)
        key, node = found
    return _replaced(text, node, key, snippet)


def _child(node: Any, part: str | int) -> tuple[Any, Any] | None:
    """(key node, value node) of a mapping's key, (None, node) of a list's item."""
    if isinstance(node, yaml.MappingNode):
        return next(((k, v) for k, v in node.value if k.value == str(part)), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int):
        return (None, node.value[part]) if part < len(node.value) else None
    return None


def _replaced(text: str, node: Any, key: Any, snippet: str) -> str:
    start, end = node.start_mark.index, _end(text, node)
    if key is not None and (start == end or _is_block(node)):
        colon = text.index(":", _end(text, key))
        rest = text[colon + 1 : start]
        kept = rest[: rest.find("\n")].rstrip() if "\n" in rest else ""
        return f"{text[: colon + 1]} {snippet}{kept}{text[end:]}"
    if isinstance(node, yaml.ScalarNode) and node.style in ('"', "'"):
        value = parse_scalar(snippet)
        snippet = snippet if not isinstance(value, str) else _as_quoted(value)
    return text[:start] + snippet + text[end:]


def _as_quoted(text: str) -> str:
    return '"' + "".join(_escaped(one) for one in text) + '"'


def _is_block(node: Any) -> bool:
    if isinstance(node, yaml.ScalarNode):
        return node.style in ("|", ">")
    return not node.flow_style


def _end(text: str, node: Any) -> int:
    """Behind the last character of a node; that of a block's mark lies behind what follows."""
    if isinstance(node, yaml.ScalarNode):
        end = node.end_mark.index
        return len(text[:end].rstrip()) if node.style in ("|", ">") else end
    if node.flow_style or not node.value:
        return int(node.end_mark.index)
    last = node.value[-1]
    if isinstance(last, tuple):
        key, value = last
        if value.start_mark.index == value.end_mark.index:
            return text.index(":", _end(text, key)) + 1
        return _end(text, value)
    return _end(text, last)


def _line_end(text: str, at: int) -> int:
    found = text.find("\n", at)
    return len(text) if found < 0 else found


def _added(text: str, node: Any, key: Any, path: tuple[str | int, ...], snippet: str) -> str:
    """A key or an item that is not there yet, as the last one of `node`."""
    if isinstance(node, yaml.ScalarNode):  # `key:` without a value, or null
        return _replaced(text, node, key, _flow(path, snippet))
    if node.flow_style:
        item = _flow(path, snippet)[1:-1]
        if node.value:
            last = node.value[-1]
            end = _end(text, last[1] if isinstance(last, tuple) else last)
            return f"{text[:end]}, {item}{text[end:]}"
        close = node.end_mark.index - 1
        return text[: node.start_mark.index + 1] + item + text[close:]
    column = (node.value[0][0] if isinstance(node, yaml.MappingNode) else node).start_mark.column
    at = _line_end(text, _end(text, node))
    return f"{text[:at]}\n{_block(path, snippet, column).rstrip(chr(10))}{text[at:]}"


def _flow(path: tuple[str | int, ...], snippet: str) -> str:
    """`{a: {b: snippet}}`, and `[snippet]` for an index."""
    for part in reversed(path):
        snippet = f"[{snippet}]" if isinstance(part, int) else f"{{{quoted(part)}: {snippet}}}"
    return snippet


def _block(path: tuple[str | int, ...], snippet: str, column: int) -> str:
    """The same in lines, at that column."""
    lines, indent = "", column
    for at, part in enumerate(path):
        last = at == len(path) - 1
        name = "-" if isinstance(part, int) else f"{quoted(part)}:"
        lines += " " * indent + name + (f" {snippet}\n" if last else "\n")
        indent += 2
    return lines


def _removed(text: str, path: tuple[str | int, ...]) -> str:
    node: Any = yaml.compose(text, Loader=yaml.SafeLoader)
    key: Any = None
    for part in path[:-1]:
        found = _child(node, part)
        if found is None:
            return text
        key, node = found
    parts = [(k.start_mark.index, _item_end(text, k, v)) for k, v in _pairs(node)]
    where = [k.value if k is not None and isinstance(node, yaml.MappingNode) else i
             for i, (k, _) in enumerate(_pairs(node))].index(path[-1])  # fmt: skip
    start, end = parts[where]
    following = parts[where + 1][0] if where + 1 < len(parts) else None
    if len(parts) == 1:
        nothing = "{}" if isinstance(node, yaml.MappingNode) else "[]"
        return _replaced(text, node, key, nothing) if path[:-1] else ""
    if node.flow_style:
        if following is not None:
            return text[:start] + text[following:]
        return text[: parts[where - 1][1]] + text[end:]
    line = text.rfind("\n", 0, start) + 1
    if isinstance(node, yaml.MappingNode) and text[line:start].strip() and following:
        return text[:start] + text[following:]  # the first key of a list's item: `- key: ...`
    return text[:line] + text[_line_end(text, end) + 1 :]


def _pairs(node: Any) -> list[tuple[Any, Any]]:
    if isinstance(node, yaml.MappingNode):
        return list(node.value)
    return [(item, item) for item in node.value]


def _item_end(text: str, key: Any, value: Any) -> int:
    if value.start_mark.index == value.end_mark.index:
        return text.index(":", _end(text, key)) + 1
    return _end(text, value)
