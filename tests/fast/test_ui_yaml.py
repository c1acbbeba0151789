"""A key of a YAML text is changed, and nothing else of the text."""

from typing import Any

import pytest

from llmops.errors import BadInput
from llmops.ui.yaml_edit import data_of, quoted, remove_key, set_key, written
from tests.conftest import ROOT

TEXT = """\
# A recipe.
kind: train
base: "recipe:cpt.yaml"   # what it stands on
data:
  train:
    # the first file
    - path: data/a.jsonl
    - {path: data/b.jsonl, limit: 5}   # short
args:          # the engine's own
  learning_rate: 1.0e-3
  seed: 1

# where it goes
output: {model: town}
builders:
  votes:
  edits: {}
"""
FILES = ("recipes/round.yaml", "recipes/eval.yaml", "recipes/simulate.yaml", "pipelines/town.yaml")


def test_a_value_is_replaced_and_its_comment_stays() -> None:
    changed = set_key(TEXT, ("base",), "town@anchor")
    assert 'base: "town@anchor"   # what it stands on\n' in changed
    assert changed.replace("town@anchor", "recipe:cpt.yaml") == TEXT


def test_a_number_is_kept_as_it_was_typed() -> None:
    assert "  learning_rate: 5e-4\n" in set_key(TEXT, ("args", "learning_rate"), "5e-4")


@pytest.mark.parametrize(
    ("path", "snippet", "line"),
    [
        (("args", "max_steps"), "10", "  seed: 1\n  max_steps: 10\n\n# where"),
        (("output", "note"), "x", "output: {model: town, note: x}\n"),
        (("data", "train", 1, "limit"), "7", "{path: data/b.jsonl, limit: 7}   # short"),
        (("data", "train", 0, "limit"), "7", "    - path: data/a.jsonl\n      limit: 7\n"),
        (("data", "train", 2), "{path: c}", "# short\n    - {path: c}\nargs:"),
        (("builders", "votes", "min"), "2", "  votes: {min: 2}\n"),
        (("builders", "edits", "min"), "2", "  edits: {min: 2}\n"),
        (("resources", "devices"), "2", "  edits: {}\nresources:\n  devices: 2\n"),
        (("args",), "{}", "args: {}          # the engine's own\n\n# where"),
    ],
)
def test_what_is_set_stands_where_it_belongs(
    path: tuple[str | int, ...], snippet: str, line: str
) -> None:
    assert line in set_key(TEXT, path, snippet)


@pytest.mark.parametrize(
    ("path", "gone"),
    [
        (("args", "seed"), "  seed: 1\n"),
        (("data", "train", 1), "    - {path: data/b.jsonl, limit: 5}   # short\n"),
        (("data", "train", 1, "limit"), ", limit: 5"),
        (("data", "train", 1, "path"), "path: data/b.jsonl, "),
        (("builders", "votes"), "  votes:\n"),
        (("builders",), "builders:\n  votes:\n  edits: {}\n"),
        (("output",), "output: {model: town}\n"),
    ],
)
def test_what_is_removed_takes_nothing_along(path: tuple[str | int, ...], gone: str) -> None:
    assert remove_key(TEXT, path) == TEXT.replace(gone, "", 1)


def test_the_last_key_leaves_an_empty_mapping() -> None:
    assert "output: {}\n" in remove_key(TEXT, ("output", "model"))
    assert remove_key("a:\n  b: 1\n", ("a", "b")) == "a: {}\n"


def test_the_first_key_of_an_item_leaves_the_dash() -> None:
    text = "data:\n  - path: a\n    limit: 5\n  - path: b\n"
    assert remove_key(text, ("data", 0, "path")) == "data:\n  - limit: 5\n  - path: b\n"


def test_an_empty_text_takes_a_key() -> None:
    assert set_key("", ("kind",), "train") == "kind: train\n"
    assert set_key("# only a comment\n", ("a", "b"), "1") == "# only a comment\na:\n  b: 1\n"


def test_a_block_of_text_is_replaced_whole() -> None:
    text = "a: |\n  one\n  two\n\nb: 1\n"
    assert set_key(text, ("a",), "x") == "a: x\n\nb: 1\n"


def test_what_an_anchor_shares_is_refused() -> None:
    with pytest.raises(BadInput, match="change it in the text"):
        set_key("a: &x {n: 1}\nb: *x\n", ("b", "n"), "2")


def test_what_is_not_there_is_told() -> None:
    with pytest.raises(BadInput, match=r"no key `args\.nope`"):
        remove_key(TEXT, ("args", "nope"))
    with pytest.raises(BadInput, match=r"`kind\.deeper`"):
        set_key(TEXT, ("kind", "deeper"), "1")


@pytest.mark.parametrize(
    "text",
    ("plain|stage:base|no|true|1e-3|a: b|# x|- x|| x |ü\n\x07\u2028|a'b\"c\\d|{a}|key:|~").split(
        "|"
    ),
)
def test_any_string_survives(text: str) -> None:
    assert data_of(f"a: {quoted(text)}\n")["a"] == text
    assert data_of(f"a: {{b: {quoted(text)}, c: 1}}\n")["a"] == {"b": text, "c": 1}


@pytest.mark.parametrize("file", FILES)
def test_every_key_of_a_declaration_can_be_changed(file: str) -> None:
    """Each leaf is set to something else and back; removing and adding tells the same data."""
    text = (ROOT / file).read_text("utf-8")
    for path, value in leaves(data_of(text)):
        changed = set_key(text, path, "changed-value")
        assert comments(changed) == comments(text)
        assert data_of(set_key(changed, path, written(value))) == data_of(text)
        assert comments(remove_key(text, path)) <= comments(text)


def comments(text: str) -> set[str]:
    return {line.split("# ", 1)[1] for line in text.splitlines() if "# " in line}


def leaves(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[tuple[str | int, ...], Any]]:
    inner = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    found = [leaf for key, one in inner for leaf in leaves(one, (*path, key))]
    return found or ([(path, value)] if path else [])
