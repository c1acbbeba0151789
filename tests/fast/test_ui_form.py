"""Forms are made from the grammar, and what is typed in them becomes YAML of the right type."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from llmops.errors import BadInput
from llmops.spec.schema import schema_of
from llmops.ui.client import Client
from llmops.ui.draft import Draft
from llmops.ui.editing import Editing
from llmops.ui.form import Field, Group, added, form, snippet
from llmops.ui.form_page import form_page
from llmops.ui.frame import Ask
from llmops.ui.yaml_edit import data_of, set_key
from tests.conftest import ROOT

RECIPE = schema_of("recipe")
PIPELINE = schema_of("pipeline")
DPO = (ROOT / "recipes" / "dpo.yaml").read_text("utf-8")
TOWN = (ROOT / "pipelines" / "town.yaml").read_text("utf-8")


def fields(group: Group) -> dict[str, Field]:
    """The fields by their dotted path."""
    found: dict[str, Field] = {}
    for one in group.items:
        if isinstance(one, Group):
            found |= fields(one)
        else:
            found[".".join(map(str, one.path))] = one
    return found


def of(schema: Any, text: str) -> dict[str, Field]:
    return fields(form(schema, data_of(text)))


def test_each_value_has_a_field_of_its_type() -> None:
    found = of(RECIPE, DPO)
    assert found["stage"].choices == ("cpt", "sft", "dpo", "kto", "rm")
    assert found["kind"].kind == "choice"
    assert found["args.lora_rank"].kind == "number"
    assert found["args.disable_gradient_checkpointing"].kind == "flag"
    assert found["data.train.0.path"].value == "data/town_dpo.jsonl"
    assert found["base"].required
    assert "NAME:vN" in found["base"].help


def test_a_recipe_of_no_kind_asks_for_one() -> None:
    (kind,) = of(RECIPE, "kind: ''\n").values()
    assert kind.choices == ("base", "evaluate", "preferences", "simulate", "train")
    assert "kind" in dict(form(RECIPE, {}).absent)


def test_the_stages_of_a_pipeline_are_groups_with_keys_to_add() -> None:
    stages = next(one for one in form(PIPELINE, data_of(TOWN)).items if one.label == "stages")
    assert isinstance(stages, Group)
    assert stages.free
    first = stages.items[0]
    assert isinstance(first, Group)
    assert "approval" in dict(first.absent)


def test_what_the_grammar_does_not_know_is_shown_all_the_same() -> None:
    assert of(RECIPE, "kind: train\nunheard: {a: 1}\n")["unheard"].value == "{a: 1}"


@pytest.mark.parametrize("name", ["recipes", "pipelines"])
def test_every_declaration_has_a_field_for_each_of_its_values(name: str) -> None:
    schema = RECIPE if name == "recipes" else PIPELINE
    for file in sorted((ROOT / name).glob("*.yaml")):
        text = file.read_text("utf-8")
        for field in of(schema, text).values():
            again = set_key(text, field.path, snippet(field.kind, field.value))
            assert data_of(again) == data_of(text), f"{file.name}: {field.label}"


@pytest.mark.parametrize(
    ("kind", "text", "shown"),
    [
        ("text", "no", "no"),
        ("text", "a: b", '"a: b"'),
        ("text", "12", '"12"'),
        ("number", "1e-3", "1e-3"),
        ("number", "many", "many"),
        ("flag", "true", "true"),
        ("yaml", "[a, b]", "[a, b]"),
        ("choice", "dpo", "dpo"),
    ],
)
def test_what_is_typed_becomes_yaml(kind: Any, text: str, shown: str) -> None:
    assert snippet(kind, text) == shown


@pytest.mark.parametrize("text", ["[a", "a\nb: 1", "1 # x"])
def test_what_is_no_value_on_one_line_is_refused(text: str) -> None:
    with pytest.raises(BadInput):
        snippet("yaml", text)


def test_an_added_key_begins_with_the_least_that_it_may_be() -> None:
    data = data_of(DPO)
    assert added(RECIPE, data, ("args", "anything")) == '""'
    assert added(RECIPE, data, ("data", "train", 1)) == '{path: ""}'
    assert added(PIPELINE, {}, ("stages",)) == "{}"
    assert added(PIPELINE, {}, ("limits", "runs_a_day")) == "1"


def test_the_form_shows_text_as_text() -> None:
    shown = form_page(form(RECIPE, {"kind": "train", "base": '"><script>alert(1)</script>'}))
    assert "<script" not in shown
    assert "&lt;script&gt;" in shown


def test_changes_become_overrides() -> None:
    text = set_key(DPO, ("args", "max_steps"), "3")
    text = set_key(text, ("data", "train", 0, "path"), "data/other.jsonl")
    text = set_key(text, ("args", "note"), "a b")
    assert Draft("x", "recipe", text, DPO, "d").overrides() == [
        "data.train.0.path=data/other.jsonl",
        "args.max_steps=3",
        "args.note=a b",
    ]


def test_a_key_that_is_taken_out_must_be_saved() -> None:
    draft = Draft("x", "recipe", DPO.replace("  seed: 1\n", ""), DPO, "d")
    with pytest.raises(BadInput, match="no override can say"):
        draft.overrides()


def test_comments_alone_change_nothing_that_runs() -> None:
    assert Draft("x", "recipe", "# more\n" + DPO, DPO, "d").overrides() == []


def test_what_was_changed_is_there_when_its_file_is_opened_again() -> None:
    """Nothing is read anew then, and what has no changes is not kept."""
    editing, ask = Editing(), Ask(Client("http://127.0.0.1:9").api(), {}, {})
    first, second = Draft("a", "recipe", DPO, DPO, "d"), Draft("b", "recipe", "x: 1", "", None)
    changed = replace(first, text="# mine\n" + DPO, planned=("p",), aside=(second,))
    other = asyncio.run(editing.turn_to(ask, second.place, changed))
    assert (other.text, [one.path for one in other.aside]) == ("x: 1", ["a"])
    again = asyncio.run(editing.turn_to(ask, first.place, other))
    assert (again.text, again.planned, again.aside) == (changed.text, (), (second,))
    assert first.all_changed() == ()
