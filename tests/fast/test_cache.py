"""`llmops cache`: what is kept, what of it is sound, and giving space back."""

import json
import os
from pathlib import Path

import pytest
from filelock import FileLock

from llmops.errors import BadInput
from llmops.runner.cache import collect, entries, verify
from llmops.runner.stage import Context
from llmops.spec.grammar import size
from llmops.spec.recipe import DataFile
from llmops.spec.settings import load_settings
from llmops.store.atomic import write_json
from llmops.store.memory import Memory
from llmops.store.run_paths import AttemptPaths


@pytest.fixture
def context(project: Path) -> Context:
    """A project that remembers two files."""
    for name in ("a", "b"):
        (project / name).write_text(name * 10)
    context = Context(load_settings())
    for name in ("a", "b"):
        context.digests.file(project / name)
    context.remember()
    return Context(load_settings())


def attempt(context: Context, run: str, age: float, size: int = 1000) -> AttemptPaths:
    """One that left a checkpoint of so many bytes, so many seconds ago."""
    paths = context.paths.run(run).attempt("sft", 1)
    (paths.output / "checkpoint-5").mkdir(parents=True)
    (paths.output / "checkpoint-5" / "model.safetensors").write_bytes(b"x" * size)
    paths.log.write_text("said")
    write_json(paths.record, {"fingerprint": run * 8})
    os.utime(paths.root, (1e9 - age, 1e9 - age))
    return paths


def test_all_that_is_kept_is_listed(context: Context) -> None:
    attempt(context, "run", 5)
    found = {one.name: one for one in entries(context)}
    assert (found["digests"].entries, found["digests"].damaged) == (2, False)
    assert found["run/sft/1"].size > 1000


def test_a_damaged_entry_is_told_dropped_and_found_out_anew(
    context: Context, project: Path
) -> None:
    file = context.paths.digests
    file.write_bytes(file.read_bytes().replace(b"a", b"b", 3))
    assert verify(context, print) == ["digests"]
    assert not file.exists()
    assert verify(context, print) == []


def test_a_file_that_changed_under_its_time_is_told(context: Context, project: Path) -> None:
    stat = (project / "a").stat()
    with (project / "a").open("r+b") as file:
        file.write(b"c")
    os.utime(project / "a", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    told: list[str] = []
    assert verify(context, told.append)
    assert str(project / "a") in told[0]
    assert {one.entries for one in entries(context)} == {1}


def test_what_is_gone_is_forgotten(context: Context, project: Path) -> None:
    (project / "b").unlink()
    assert collect(context, None, print) > 0
    assert [one.entries for one in entries(context)] == [1]


def test_what_content_was_is_forgotten_with_the_last_file_that_has_it(
    context: Context, project: Path
) -> None:
    for name in ("a", "b"):
        (project / f"{name}.jsonl").write_text(f'{{"text": "{name}"}}\n')
        file = DataFile(path=f"{name}.jsonl")
        context.inspections.inspect(
            file, project / file.path, where=lambda: "", wanted=frozenset({"text"})
        )
    context.remember()
    for file, key in (("inspections", "0" * 64), ("tokens", json.dumps([1, "f" * 64]))):
        older = Memory(getattr(context.paths, file))
        older.put(key, {})
        older.save()
    (project / "b.jsonl").unlink()
    collect(context, None, print)
    kept = [json.loads(key)[1] for key in Memory(context.paths.inspections).entries]
    assert kept == [context.digests.file(project / "a.jsonl")]
    assert not Memory(context.paths.tokens).entries


def test_above_the_budget_the_oldest_goes_first_and_its_log_stays(context: Context) -> None:
    new, old = attempt(context, "new", 5), attempt(context, "old", 50)
    assert collect(context, 1900, print) == 1000
    assert [(one.output / "checkpoint-5").exists() for one in (new, old)] == [True, False]
    assert old.log.read_text() == "said"


def test_what_a_run_is_at_is_left_alone(context: Context) -> None:
    busy = attempt(context, "busy", 50)
    lock = context.paths.lock("stage-" + ("busy" * 8)[:24])
    lock.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(lock):
        assert collect(context, 0, print) == 0
    assert (busy.output / "checkpoint-5").exists()
    assert collect(context, 0, print) == 1000


def tokenized(context: Context, key: str, age: float, size: int = 1000) -> Path:
    """Of so many bytes, taken so many seconds ago."""
    made = context.paths.run("made").attempt("sft", 1).tokenized
    (made / "data").mkdir(parents=True)
    (made / "data" / "tokens.arrow").write_bytes(b"x" * size)
    context.tokenized.keep(key, made, [])
    place = context.tokenized.place(key)
    os.utime(place, (1e9 - age, 1e9 - age))
    return place


def test_tokenized_data_goes_with_checkpoints_the_one_not_used_for_longest_first(
    context: Context,
) -> None:
    left = attempt(context, "left", 20)
    old, new = tokenized(context, "a" * 64, 30), tokenized(context, "b" * 64, 10)
    assert [one.name for one in entries(context)][1:] == [
        *("tokens/aaaaaaaaaaaa", "left/sft/1", "tokens/bbbbbbbbbbbb")
    ]
    total = sum(one.size for one in entries(context))
    assert collect(context, total - 1, print) > 1000
    assert [one.exists() for one in (old, left.output / "checkpoint-5", new)] == [False, True, True]
    collect(context, sum(one.size for one in entries(context)) - 1, print)
    assert [one.exists() for one in (left.output / "checkpoint-5", new)] == [False, True]


def test_what_was_lent_is_the_last_to_go(context: Context, project: Path) -> None:
    old, new = tokenized(context, "a" * 64, 30), tokenized(context, "b" * 64, 10)
    assert context.tokenized.lend(old.name, project / "lent")
    collect(context, sum(one.size for one in entries(context)) - 1, print)
    assert (old.exists(), new.exists()) == (True, False)


def test_tokenized_data_that_lies_is_dropped_by_verify(context: Context) -> None:
    good, bad = tokenized(context, "a" * 64, 30), tokenized(context, "b" * 64, 10)
    assert context.tokenized.is_sound(bad.name)
    file = bad / "data" / "tokens.arrow"
    stat = file.stat()
    file.write_bytes(b"y" * 1000)
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert verify(context, print) == ["tokenized data"]
    assert (good.exists(), bad.exists()) == (True, False)
    assert verify(context, print) == []


@pytest.mark.parametrize(("text", "expected"), [("20GB", 20e9), ("1.5 mb", 1.5e6), ("7", 7)])
def test_sizes(text: str, expected: float) -> None:
    assert size(text) == expected


def test_what_is_no_size_is_refused() -> None:
    with pytest.raises(BadInput, match="20 apples"):
        size("20 apples")


def test_what_is_lent_counts_where_it_lies(context: Context) -> None:
    entry = tokenized(context, "a" * 64, 30)
    paths = attempt(context, "busy", 5)
    before = {one.name: one.size for one in entries(context)}
    assert context.tokenized.lend(entry.name, paths.tokenized / "data")
    assert {one.name: one.size for one in entries(context)} == before
    context.tokenized.drop(entry.name)
    (left,) = [one for one in entries(context) if one.name == "busy/sft/1"]
    assert left.size == before["busy/sft/1"] + 1000


def test_tokens_that_a_killed_run_left_go_with_its_checkpoints(context: Context) -> None:
    paths = attempt(context, "killed", 5)
    (paths.tokenized / "data.begun").mkdir(parents=True)
    collect(context, 0, print)
    assert not paths.tokenized.exists()
