"""The form (form.py) as HTML. Its inputs say what changed; train.py changes the text.

A path is told as JSON.
"""

import json

from llmops.ui.button import act
from llmops.ui.form import Field, Group, Path_
from llmops.ui.markup import Html, joined, tag

FORM_ACTS = ("set_key", "add_key", "append_key", "remove_key")


def form_page(group: Group) -> Html:
    parts = [_items(group), _add(group, "the declaration")]
    return tag("div", parts, class_="ll-form", id="train-fields")


def _items(group: Group) -> list[Html]:
    return [
        _field(one) if isinstance(one, Field) else _group(one, group.label) for one in group.items
    ]


def _group(group: Group, within: str) -> Html:
    title = f"{within} {int(group.label) + 1}" if group.label.isdigit() else group.label
    head = tag(
        "legend", tag("span", title), _remove(group.path, title) if not group.required else None
    )
    words = tag("p", group.help, class_="ll-quiet") if group.help else None
    return tag("fieldset", head, words, _items(group), _add(group, title), class_="ll-group")


def _field(field: Field) -> Html:
    name = "f-" + "-".join(str(part) for part in field.path)
    label = tag("label", field.label, tag("i", "required") if field.required else None, for_=name)
    return tag(
        "div",
        label,
        tag("div", _input(field, name), _remove(field.path, field.label), class_="ll-input")
        if not field.required
        else tag("div", _input(field, name), class_="ll-input"),
        tag("small", field.help, id=f"{name}-help") if field.help else None,
        class_="ll-field",
    )


def _input(field: Field, name: str) -> Html:
    shared = {
        "id": name,
        "data_change": "set_key",
        "data_value": json.dumps(field.path),
        "data_kind": field.kind,
        "aria_describedby": f"{name}-help" if field.help else None,
    }
    if field.kind == "flag":
        return tag("input", type="checkbox", checked=field.value == "true", **shared)
    if field.kind == "choice":
        options = [tag("option", one, selected=one == field.value) for one in field.choices]
        return tag("select", options, **shared)
    mode = "decimal" if field.kind == "number" else None
    return tag(
        "input",
        type="text",
        value=field.value,
        inputmode=mode,
        spellcheck="false",
        autocomplete="off",
        class_="ll-mono" if field.kind != "text" else None,
        **shared,
    )


def _remove(path: Path_, name: str) -> Html:
    return act(
        "×",
        "remove_key",
        json.dumps(path),
        aria_label=f"remove {name}",
        title=f"remove {name}",
    )


def _add(group: Group, where: str) -> Html:
    """What can be added: a known key, a key of any name, an item."""
    shared = {"data_change": "add_key", "data_value": json.dumps(group.path), "data_clear": "1"}
    parts: list[Html] = []
    if group.absent:
        first = tag("option", f"Add to {where}…", value="", selected=True)
        options = [
            tag("option", f"{key}: {help}"[:90] if help else key, value=key)
            for key, help in group.absent
        ]
        parts.append(tag("select", first, options, aria_label=f"add a key to {where}", **shared))
    if group.free:
        hint = f"add to {where}: name, Enter"
        parts.append(tag("input", type="text", placeholder=hint, aria_label=hint, **shared))
    if group.grows:
        value = json.dumps([*group.path, len(group.items)])
        parts.append(act(f"+ {group.label} {len(group.items) + 1}", "append_key", value))
    return tag("div", parts, class_="ll-add") if parts else joined()
