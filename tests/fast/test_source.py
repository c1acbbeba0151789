"""YAML as it is read: core-schema scalars, line numbers, clear refusals."""

from pathlib import Path
from typing import Any

import pytest

from llmops.errors import BadInput
from llmops.spec.source import parse_scalar, parse_source, read_source


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("12:30", "12:30"),
        ("1e-4", 1e-4),
        ("1.5", 1.5),
        ("010", 10),
        ("true", True),
        ("~", None),
        ("[1, a]", [1, "a"]),
        ("0x10", "0x10"),
        ("2026-01-01", "2026-01-01"),
    ],
)
def test_scalars_follow_the_core_schema(text: str, value: Any) -> None:
    assert parse_scalar(text) == value
    assert type(parse_scalar(text)) is type(value)


def test_each_key_knows_its_line(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("a: 1\nb:\n  c:\n    - x\n    - y: 2\n", encoding="utf-8")
    source = read_source(file)
    assert source.lines[("b", "c", 1, "y")] == 5
    assert source.where(("b", "c", 1, "y")).endswith("a.yaml:5: b.c.1.y")


def test_an_unknown_place_is_shown_at_its_nearest_parent(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("a: 1\nb:\n  c: 2\n", encoding="utf-8")
    assert read_source(file).where(("b", "d")).endswith("a.yaml:2: b.d")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 1\na: 2\n", "the key `a` is given twice"),
        ("- 1\n", "expected a mapping"),
        ("", "found nothing"),
        ("a: [1\n", "not valid YAML"),
        ("a: !!python/object:os.system x\n", "not valid YAML"),
    ],
)
def test_what_is_no_mapping_is_refused(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(BadInput, match=r"a\.yaml") as caught:
        read_source(file)
    assert words in str(caught.value)


def test_aliases_that_multiply_are_refused(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 8)}]" for n in range(1, 12)]
    with pytest.raises(BadInput, match="more than 200,000 keys"):
        parse_source("\n".join(lines), tmp_path / "x.yaml")


def test_a_missing_file_names_its_neighbour(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("a: 1", encoding="utf-8")
    with pytest.raises(BadInput) as caught:
        read_source(tmp_path / "recpie.yaml")
    assert "did you mean `recipe.yaml`?" in str(caught.value)
