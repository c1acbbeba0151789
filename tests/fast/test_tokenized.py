"""Tokenized data: what makes another key, what is lent, and what never is."""

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from llmops.data.tokenized import DATA, Tokenized, key_of
from llmops.engines.contract import DataSet, ModelFiles
from llmops.engines.llamafactory.compile import compile_train
from llmops.engines.llamafactory.machine import Machine
from llmops.store.digest import sha256_file
from tests.fast.models_on_disk import write_full
from tests.training_jobs import LAYOUT_ROWS, bare_environment, train_job, train_recipe, write_rows

KEY = "a" * 64


@pytest.fixture
def cache(tmp_path: Path) -> Tokenized:
    return Tokenized(tmp_path / "cache")


@pytest.fixture
def source(tmp_path: Path) -> DataSet:
    path = write_rows(tmp_path / "a.txt", "a text\n")
    return DataSet(path, "text", {"text": "text"}, 1, sha256_file(path))


def made(folder: Path, text: str = "tokens") -> Path:
    """What an engine leaves, in several files."""
    (folder / DATA / "train").mkdir(parents=True)
    (folder / DATA / "train" / "data.arrow").write_text(text)
    (folder / DATA / "dataset_dict.json").write_text("{}")
    return folder


def test_what_is_kept_is_lent_as_it_was(cache: Tokenized, source: DataSet, tmp_path: Path) -> None:
    cache.keep(KEY, made(tmp_path / "made"), [source])
    assert list(cache) == [KEY]
    assert not (tmp_path / "made").exists()
    assert cache.lend(KEY, tmp_path / "lent")
    assert (tmp_path / "lent/train/data.arrow").read_text() == "tokens"
    cache.drop(KEY)
    assert (tmp_path / "lent/train/data.arrow").read_text() == "tokens"


def flip(entry: Path) -> None:
    (entry / DATA / "train/data.arrow").write_text("tokenz")


def lose(entry: Path) -> None:
    (entry / DATA / "dataset_dict.json").unlink()


def cut_off(entry: Path) -> None:
    (entry / "manifest.json").write_text("{")


def empty(entry: Path) -> None:
    (entry / "manifest.json").write_text(f'{{"key": "{KEY}", "files": {{}}}}')


def of_another(entry: Path) -> None:
    text = (entry / "manifest.json").read_text()
    (entry / "manifest.json").write_text(text.replace(KEY, "b" * 64))


@pytest.mark.parametrize("damage", [flip, lose, cut_off, empty, of_another])
def test_a_damaged_entry_is_removed_and_not_lent(
    damage: Callable[[Path], None], cache: Tokenized, source: DataSet, tmp_path: Path
) -> None:
    cache.keep(KEY, made(tmp_path / "made"), [source])
    damage(cache.place(KEY))
    assert not cache.is_sound(KEY)
    assert not cache.lend(KEY, tmp_path / "lent")
    assert not (tmp_path / "lent").exists()
    assert list(cache) == []


def test_a_file_that_changed_under_its_time_is_not_lent(
    cache: Tokenized, source: DataSet, tmp_path: Path
) -> None:
    cache.keep(KEY, made(tmp_path / "made"), [source])
    file = cache.place(KEY) / DATA / "train/data.arrow"
    stat = file.stat()
    flip(cache.place(KEY))
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    remembered = Tokenized(tmp_path / "cache", digest=lambda _: pytest.fail("remembered"))
    assert remembered.is_sound(KEY)  # as far as a plan looks
    assert not remembered.is_sound(KEY, sha256_file)
    assert not remembered.lend(KEY, tmp_path / "lent")


def test_a_copy_of_a_project_has_its_tokens(
    cache: Tokenized, source: DataSet, tmp_path: Path
) -> None:
    cache.keep(KEY, made(tmp_path / "made"), [source])
    shutil.copytree(tmp_path / "cache", tmp_path / "copy")
    assert Tokenized(tmp_path / "copy").is_sound(KEY)


def test_of_two_that_make_the_same_the_first_stays(
    cache: Tokenized, source: DataSet, tmp_path: Path
) -> None:
    cache.keep(KEY, made(tmp_path / "first"), [source])
    inode = (cache.place(KEY) / "manifest.json").stat().st_ino
    cache.keep(KEY, made(tmp_path / "second"), [source])
    assert (cache.place(KEY) / "manifest.json").stat().st_ino == inode
    assert not (tmp_path / "second").exists()


def test_a_damaged_entry_gives_way(cache: Tokenized, source: DataSet, tmp_path: Path) -> None:
    cache.keep(KEY, made(tmp_path / "first"), [source])
    cut_off(cache.place(KEY))
    cache.keep(KEY, made(tmp_path / "second", "others"), [source])
    assert cache.lend(KEY, tmp_path / "lent")
    assert (tmp_path / "lent/train/data.arrow").read_text() == "others"


def test_where_there_are_no_hard_links_it_is_copied(
    cache: Tokenized, source: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "no links here")

    cache.keep(KEY, made(tmp_path / "made"), [source])
    monkeypatch.setattr(os, "link", refuse)
    assert cache.lend(KEY, tmp_path / "lent")
    assert (tmp_path / "lent/train/data.arrow").stat().st_nlink == 1


def test_what_was_made_of_a_text_is_found_wherever_it_lay(
    cache: Tokenized, source: DataSet, tmp_path: Path
) -> None:
    other = replace(source, path=Path("/elsewhere/b.txt"), sha256="b" * 64)
    for key, one in (("1", source), ("2", other), ("3", other), ("4", other)):
        cache.keep(key, made(tmp_path / key), [one])
    (cache.place("3") / "manifest.json").unlink()
    text = (cache.place("4") / "manifest.json").read_text()
    (cache.place("4") / "manifest.json").write_text(text.replace("sha256", "sha257"))
    (tmp_path / "cache" / "a file").write_text("of somebody's")
    cache.forget(Path("/nowhere"), {source.sha256})
    assert list(cache) == ["2"]
    cache.forget(Path("/elsewhere"), set())
    assert list(cache) == []


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return write_full(tmp_path / "base")


class Keys:
    """Keys of a recipe that is changed."""

    def __init__(self, folder: Path, base: Path) -> None:
        self._folder = folder
        self._base = base
        self._environment = bare_environment(folder)

    def __call__(
        self,
        args: dict[str, Any] | None = None,
        *,
        name: str = "messages",
        columns: dict[str, str] | None = None,
        **more: Any,
    ) -> str | None:
        stage, file, rows = LAYOUT_ROWS[name]
        data = more.pop("data", None) or write_rows(self._folder / file, rows)
        recipe = train_recipe(self._folder, stage, args, data=data, template="qwen", **more)
        job = train_job(recipe, ModelFiles(self._base), self._folder / "attempt")
        if columns is not None:
            job = replace(job, train=[replace(job.train[0], columns=columns)])
        parts = compile_train(job, self._environment, Machine(2)).tokens
        return None if parts is None else key_of(parts, self._base, sha256_file)


@pytest.fixture
def keys(tmp_path: Path, base: Path) -> Keys:
    return Keys(tmp_path, base)


@pytest.mark.parametrize(
    "args",
    [
        *({"learning_rate": 1e-3}, {"lora_rank": 4}, {"num_train_epochs": 5.0}, {"bf16": True}),
        *({"finetuning_type": "full"}, {"save_steps": 5}, {"per_device_train_batch_size": 3}),
    ],
)
def test_what_comes_after_the_tokens_leaves_the_key(keys: Keys, args: dict[str, Any]) -> None:
    assert keys() == keys(args)


@pytest.mark.parametrize(
    "args",
    [
        *({"cutoff_len": 99}, {"packing": True}, {"neat_packing": True}, {"mask_history": True}),
        *({"train_on_prompt": True}, {"max_samples": 3}, {"enable_thinking": False}),
        *({"seed": 7}, {"split_special_tokens": True}, {"preprocessing_batch_size": 9}),
        {"nobody_thought_of_this": 1},
    ],
)
def test_what_may_change_tokens_makes_another_key(keys: Keys, args: dict[str, Any]) -> None:
    assert keys() != keys(args)


def test_data_makes_another_key_by_its_content(keys: Keys, tmp_path: Path) -> None:
    rows = LAYOUT_ROWS["messages"][2]
    (tmp_path / "other").mkdir()
    same = write_rows(tmp_path / "other" / "b.jsonl", rows)
    more = write_rows(tmp_path / "other" / "c.jsonl", [rows] * 9)
    assert keys() == keys(data=same)
    assert len({keys(), keys(data=more), keys(validation=0.25), keys(name="kto-messages")}) == 4


def test_a_converted_copy_counts_as_it_is(keys: Keys, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = write_rows(tmp_path / "other" / "a.csv", "instruction,output\n" + "1 + 1 =,3\n" * 8)
    assert keys(name="alpaca-numbers") != keys(name="alpaca-numbers", data=other)


def test_the_columns_that_a_copy_is_made_of_make_another_key(keys: Keys) -> None:
    names = [{"instruction": name, "output": "output"} for name in ("instruction", "other")]
    assert len({keys(name="alpaca-numbers", columns=one) for one in names}) == 2


def test_the_template_and_the_tokenizer_make_another_key(keys: Keys, base: Path) -> None:
    before = keys()
    shutil.copy(base / "model.safetensors", base / "model-2.safetensors")
    (base / "README.md").write_text("about it")
    assert keys() == before
    (base / "tokenizer.json").write_text('{"version": "2"}')
    changed = keys()
    (base / "chat_template.jinja").write_text("{{ messages }}")
    assert len({before, changed, keys()}) == 3


def test_a_template_that_writes_the_day_makes_another_key_each_day(
    keys: Keys, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from datetime import date

    class Tomorrow(date):
        @classmethod
        def today(cls) -> "Tomorrow":
            return cls.fromordinal(date.today().toordinal() + 1)

    found = []
    for text in ("{{ messages }}", "{{ strftime_now('%d') }}"):
        (base / "chat_template.jinja").write_text(text)
        found.append(keys())
    with monkeypatch.context() as patched:
        patched.setattr("llmops.data.tokenized.date", Tomorrow)
        assert keys() != found[1]
        (base / "chat_template.jinja").write_text("{{ messages }}")
        assert keys() == found[0]


def test_what_is_streamed_is_not_kept(keys: Keys) -> None:
    assert keys({"streaming": True, "max_steps": 4}) is None
