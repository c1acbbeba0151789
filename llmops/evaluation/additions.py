"""An answer that users did not like, made an item of a suite: what was asked, and what would have
been right. Appends to the suite's file of items, which belongs to the user; changes no line."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from llmops.errors import BadInput
from llmops.evaluation.items import Asked, item_of, read_suite
from llmops.spec.source import display, parse_scalar
from llmops.store.atomic import append_line

_ID = 12


def fields_of(texts: Sequence[str]) -> dict[str, Any]:
    """`answer=Wend` and `others=[Sill, Yarl]` as fields, typed as in YAML. Raises BadInput."""
    fields = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.isidentifier():
            raise BadInput(f"`{text}` sets no field", fix="write FIELD=VALUE, e.g. answer=Wend")
        fields[name] = parse_scalar(value)
    return fields


def bad_answer(logged: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The row of a logged answer. logged: `inference` and its `events` (feedback.query.show);
    given: fields that the user knows. What a user wrote instead is the `answer`, unless one is
    given.

    Raises BadInput when the texts are not there.
    """
    name, inference = str(logged["id"]), logged["inference"]
    if inference is None or not inference["messages"]:
        raise BadInput(f"the texts of {name} were erased, or never came")
    messages = inference["messages"]
    alone = len(messages) == 1 and isinstance(messages[0].get("content"), str)
    asked = {"prompt": messages[0]["content"]} if alone else {"messages": messages}
    edits = [
        event["text"]
        for event in logged["events"]
        if event["kind"] == "edit" and event["inference"] == name and event["text"]
    ]
    right = {"answer": edits[-1]} if edits else {}
    return {"id": f"feedback-{name[-_ID:]}", **asked, **right, **given, "inference": name}


def add_item(suite: Path, root: Path, row: Mapping[str, Any]) -> Path:
    """Append an item to a suite and return the file that holds it.

    Raises BadInput when the suite could not use it, has it already, or holds its items itself.
    """
    asked: Asked = read_suite(suite, root)
    if asked.file == asked.loaded.path:
        raise asked.loaded.bad(
            "this suite holds its items itself; one can be added to a JSON-lines file only",
            ("items",),
            fix="move them to a file, a JSON object to a line, and name it: items: FILE.jsonl",
        )
    place = f"the new item of {display(asked.file)}"
    try:
        item = item_of(dict(row), place, asked.loaded)
    except BadInput as error:
        fix = "say what is right: --set FIELD=VALUE (a list: --set 'others=[elm, birch]')"
        raise BadInput(error.what, where=error.where, fix=fix) from error
    for known in asked.items:
        if known.id == item.id:
            raise BadInput(f"the suite has the item `{item.id}` already", where=known.place)
    _end_the_line(asked.file)
    append_line(asked.file, json.dumps(row, ensure_ascii=False))
    return asked.file


def _end_the_line(file: Path) -> None:
    """Editors leave last lines without an end."""
    text = file.read_bytes()
    if text and not text.endswith(b"\n"):
        with file.open("ab") as end:
            end.write(b"\n")
