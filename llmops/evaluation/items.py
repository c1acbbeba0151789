"""The items of a suite: read, checked against what the metrics need, each with its place."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from llmops.errors import BadInput
from llmops.evaluation.checks import Outcome, outcome
from llmops.evaluation.fields import MissingField, filled
from llmops.spec.load import Loaded, load_suite
from llmops.spec.source import display, unread
from llmops.spec.suite import Suite
from llmops.store.digest import sha256_json

ROLES = ("system", "user", "assistant")
_SAMPLE = Outcome("a", finished=True)


@dataclass(frozen=True)
class Item:
    """One prompt with what is known of it. messages: the chat to be answered, empty where only
    given texts are measured; source: what it was made from, its own id when nothing is said;
    place: file:line."""

    id: str
    messages: tuple[dict[str, str], ...]
    fields: Mapping[str, Any]
    source: str
    place: str


@dataclass(frozen=True)
class Asked:
    """A suite with its items, checked. file: where the items lie. digest: of all that decides the
    result, wherever the files lie."""

    loaded: Loaded[Suite]
    items: tuple[Item, ...]
    file: Path

    @property
    def suite(self) -> Suite:
        return self.loaded.spec

    @cached_property
    def digest(self) -> str:
        metrics = {name: one.model_dump(mode="json") for name, one in self.suite.metrics.items()}
        rows = [[item.id, list(item.messages), item.source, item.fields] for item in self.items]
        return sha256_json({"name": self.suite.name, "metrics": metrics, "items": rows})

    @property
    def sources(self) -> list[str]:
        """What each item was made from, in their order."""
        return [item.source for item in self.items]


def read_suite(path: Path, root: Path) -> Asked:
    """A suite with its items. root: the project's directory.

    Raises BadInput, with file and line, for anything that would go wrong once the model is asked:
    no items, an id twice, a prompt that is none, a field that a metric needs and an item lacks.
    """
    loaded = with_schemas(load_suite(path), root)
    file = items_file(loaded, root)
    rows = read_rows(file) if file != loaded.path else _inline(loaded)
    if not rows:
        raise BadInput("the suite has no items", where=display(file))
    seen: dict[str, str] = {}
    items = []
    for row, place in rows:
        item = item_of(row, place, loaded)
        if item.id in seen:
            raise BadInput(f"the id `{item.id}` is taken", where=place, fix=f"by {seen[item.id]}")
        seen[item.id] = place
        items.append(item)
    return Asked(loaded, tuple(items), file)


def items_file(loaded: Loaded[Suite], root: Path) -> Path:
    """The file that holds the items: the suite itself when they stand there."""
    text = loaded.spec.items
    return loaded.file(text, ("items",), root) if isinstance(text, str) else loaded.path


def with_schemas(loaded: Loaded[Suite], root: Path) -> Loaded[Suite]:
    """The suite with each JSON Schema in its place, also those that lie in files, and checked."""
    metrics = {}
    for name, metric in loaded.spec.metrics.items():
        schema = metric.json_schema
        if schema is None:
            metrics[name] = metric
            continue
        key = ("metrics", name, "json_schema")
        if isinstance(schema, str):
            schema = _schema_file(schema, loaded, key, root)
        _check_schema(schema, loaded, key)
        metrics[name] = metric.model_copy(update={"json_schema": schema})
    return replace(loaded, spec=loaded.spec.model_copy(update={"metrics": metrics}))


def _schema_file(
    text: str, loaded: Loaded[Suite], key: tuple[str, ...], root: Path
) -> dict[str, Any]:
    path = loaded.file(text, key, root)
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise loaded.bad(f"{text} is not JSON: {error}", key) from error
    if not isinstance(found, dict):
        raise loaded.bad(f"{text} holds no JSON Schema: expected an object", key)
    return found


def _check_schema(schema: dict[str, Any], loaded: Loaded[Suite], key: tuple[str, ...]) -> None:
    from jsonschema.exceptions import SchemaError
    from jsonschema.validators import validator_for

    try:
        validator_for(schema).check_schema(schema)
    except SchemaError as error:
        raise loaded.bad(f"not a JSON Schema: {error.message}", key) from error


def read_rows(file: Path) -> list[tuple[dict[str, Any], str]]:
    """The JSON objects of a JSON-lines file, each with its place. Raises BadInput."""
    try:
        lines = file.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"cannot be read: {unread(error)}", where=display(file)) from error
    rows, shown = [], display(file)
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        place = f"{shown}:{number}"
        try:
            row = json.loads(line)
        except ValueError as error:
            raise BadInput(f"not JSON: {error}", where=place) from error
        if not isinstance(row, dict):
            raise BadInput("expected an object: {...}", where=place)
        rows.append((row, place))
    return rows


def _inline(loaded: Loaded[Suite]) -> list[tuple[dict[str, Any], str]]:
    items: Any = loaded.spec.items
    return [(row, loaded.source.where(("items", place))) for place, row in enumerate(items)]


def item_of(row: dict[str, Any], place: str, loaded: Loaded[Suite]) -> Item:
    """The item that a row of a suite's file is. Raises BadInput, saying where."""
    suite = loaded.spec
    name = row.get("id")
    if isinstance(name, bool) or not isinstance(name, str | int) or name == "":
        raise BadInput("the item has no `id`: a text or a number", where=place)
    source = row.get(suite.source, name)
    if isinstance(source, dict | list) or source is None:
        raise BadInput(f"`{suite.source}` must be a text or a number", where=place)
    item = Item(str(name), _messages(row, place, suite), row, str(source), place)
    _check_fields(item, loaded)
    return item


def _messages(row: dict[str, Any], place: str, suite: Suite) -> tuple[dict[str, str], ...]:
    if suite.prompt is not None:
        try:
            return ({"role": "user", "content": filled(suite.prompt, row)},)
        except MissingField as error:
            raise BadInput(
                f"the suite's prompt needs the field `{error.name}`, which the item lacks",
                where=place,
            ) from error
    if all(metric.kind == "perplexity" for metric in suite.metrics.values()):
        return ()
    if isinstance(row.get("prompt"), str) and row["prompt"].strip():
        return ({"role": "user", "content": row["prompt"]},)
    if "messages" in row:
        return tuple(_chat(row["messages"], place))
    raise BadInput("the item has no `prompt` and no `messages`", where=place)


def _chat(value: Any, place: str) -> Iterable[dict[str, str]]:
    good = isinstance(value, list) and all(
        isinstance(turn, dict)
        and turn.get("role") in ROLES
        and isinstance(turn.get("content"), str)
        and turn.keys() == {"role", "content"}
        for turn in value
    )
    if not good or not value or value[-1]["role"] != "user":
        raise BadInput(
            "`messages` must be turns with `role` (system, user, assistant) and `content`, the "
            "last by the user",
            where=place,
        )
    return list(value)


def _check_fields(item: Item, loaded: Loaded[Suite]) -> None:
    """Every metric finds its fields in the item, and they are of use to it. Raises BadInput."""
    for name, metric in loaded.spec.metrics.items():
        try:
            if metric.perplexity is not None:
                if not filled(metric.perplexity, item.fields).strip():
                    raise ValueError("the text to measure is empty")
            elif metric.judge is None:
                outcome(metric, _SAMPLE, item.fields)
        except (MissingField, ValueError) as error:
            missing = isinstance(error, MissingField)
            why = f" needs the field `{error}`, which the item lacks" if missing else f": {error}"
            fix = f"see {loaded.source.where(('metrics', name))}"
            raise BadInput(f"metric `{name}`{why}", where=item.place, fix=fix) from error
