"""References: each scheme, and what is none."""

import pytest

from llmops.spec.reference import parse_reference


@pytest.mark.parametrize(
    "text",
    [
        "town:v3",
        "town@production",
        "recipe:cpt.yaml",
        "stage:sft",
        "path:/a/b",
        "preferences:town",
        "hub:org/name@refs/pr/1",
    ],
)
def test_a_reference_is_written_as_it_was_read(text: str) -> None:
    assert str(parse_reference(text)) == text


def test_a_hub_reference_has_a_revision() -> None:
    assert parse_reference("hub:org/name").part == "main"
    assert str(parse_reference("hub:org/name@abc")) == "hub:org/name@abc"


@pytest.mark.parametrize(
    "text",
    ["", "town", "town:3", "town:v0", "Town:v1", "recipe:", "a@b@c", "hub:a/b/c", "hub:a@../b"],
)
def test_what_is_none_says_what_is_expected(text: str) -> None:
    with pytest.raises(ValueError, match=r"names nothing|is not (a reference|of the form)"):
        parse_reference(text)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("town", "`town:vN`, or `town@production`"),
        ("town:3", "`town:v3`"),
        ("Qwen/Qwen3-4B", "`hub:Qwen/Qwen3-4B`, as a directory `path:Qwen/Qwen3-4B`"),
        ("../models/town", "`path:../models/town`"),
        ("recipes/cpt.yaml", "`recipe:recipes/cpt.yaml`"),
    ],
)
def test_what_was_probably_meant_is_said(text: str, meant: str) -> None:
    with pytest.raises(ValueError, match="is not a reference") as caught:
        parse_reference(text)
    assert meant in str(caught.value)
