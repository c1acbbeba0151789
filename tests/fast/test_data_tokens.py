"""The length of samples in tokens, with a tokenizer of whole words. That the figures are those of
the engine is tested in tests/engine/test_layouts.py."""

import json
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from llmops.data.inspect import inspect_data
from llmops.data.tokens import ROWS, Lengths, TokenCounts
from llmops.spec.recipe import DataFile
from llmops.store.digest import sha256_file
from tests.training_jobs import write_rows

TEMPLATE = "{% for m in messages %}{{ m['role'] }} {{ m['content'] }} {% endfor %}assistant "


@pytest.fixture
def base(tmp_path: Path) -> Path:
    folder = tmp_path / "base"
    folder.mkdir()
    words = Tokenizer(models.WordLevel({"?": 0}, unk_token="?"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    words.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": TEMPLATE}))
    return folder


def count(base: Path, rows: Any, cutoff: int = 9) -> Lengths | None:
    file = write_rows(base.parent / "data.jsonl", rows)
    data = inspect_data(DataFile(path=str(file)), file)
    return TokenCounts(base.parent / "tokens.json", sha256_file).count(data, base, cutoff)


SAID = {"role": "user", "content": "one and one"}
MADE = {"role": "assistant", "content": "two"}


@pytest.mark.parametrize(
    ("row", "longest"),
    [
        ({"text": "one two three"}, 4),
        ({"instruction": "one and one", "output": "two or so"}, 4 + 1 + 3 + 1),
        ({"messages": [SAID, MADE]}, 4 + 1 + 1 + 1),
        ({"messages": [SAID, MADE, SAID, MADE]}, 4 + 2 + 4 + 1 + 1 + 1),
        ({"prompt": "one and one", "chosen": "two", "rejected": "I think three"}, 4 + 1 + 3 + 1),
        ({"prompt": "one and one", "completion": "two", "label": True}, 4 + 1 + 1 + 1),
    ],
)
def test_prompt_answer_and_what_ends_it_are_counted(base: Path, row: Any, longest: int) -> None:
    assert count(base, [row] * 3, cutoff=20) == Lengths(3, 3 * longest, longest, 0)


def test_empty_texts_are_not_counted(base: Path) -> None:
    assert count(base, [{"text": "a"}, {"text": " "}]) == Lengths(1, 2, 2, 0)


def test_what_is_longer_than_the_cutoff_is_counted(base: Path) -> None:
    found = count(base, [{"text": "a"}, {"text": "a b c d"}, {"text": "a b"}], cutoff=4)
    assert found == Lengths(3, 2 + 5 + 3, 5, 1)


def test_a_large_file_is_counted_at_its_beginning(base: Path) -> None:
    found = count(base, [{"text": "a"}] * (ROWS + 5))
    assert found == Lengths(ROWS, 2 * ROWS, 2, 0)


def test_a_count_is_remembered_until_the_template_changes(base: Path) -> None:
    file = write_rows(base.parent / "data.jsonl", {"instruction": "a", "output": "b"})
    data = inspect_data(DataFile(path=str(file)), file)
    first = TokenCounts(base.parent / "tokens.json", sha256_file)
    before = first.count(data, base, 9)
    first.save()
    file.unlink()
    again = TokenCounts(base.parent / "tokens.json", sha256_file)
    assert again.count(data, base, 9) == before
    (base / "chat_template.jinja").write_text("longer " + TEMPLATE)
    with pytest.raises(FileNotFoundError):
        again.count(data, base, 9)


@pytest.mark.parametrize("template", ["{{ raise_exception('no') }}", "{% oops %}"])
def test_a_template_that_does_not_render_is_not_guessed_at(base: Path, template: str) -> None:
    (base / "chat_template.jinja").write_text(template)
    assert count(base, {"instruction": "a", "output": "b"}) is None


def test_a_template_reaches_nothing_outside(base: Path) -> None:
    (base / "chat_template.jinja").write_text(
        "{{ messages.__class__.__mro__[1].__subclasses__() }}"
    )
    assert count(base, {"instruction": "a", "output": "b"}) is None


def test_a_base_without_a_fast_tokenizer_is_not_counted(base: Path) -> None:
    (base / "tokenizer.json").unlink()
    assert count(base, {"text": "a"}) is None


def test_data_that_changed_since_it_was_checked_is_not_counted(base: Path) -> None:
    file = write_rows(base.parent / "data.jsonl", [{"messages": [SAID, MADE]}])
    data = inspect_data(DataFile(path=str(file)), file)
    write_rows(file, [{"messages": [SAID]}])
    counts = TokenCounts(base.parent / "tokens.json", sha256_file)
    assert counts.count(data, base, 9) is None
