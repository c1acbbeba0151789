"""Snapshots on disk: whole or not at all, found again, erased from."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from llmops.data.tokenized import Tokenized
from llmops.engines.contract import DataSet
from llmops.errors import BadInput, Failed
from llmops.preferences import erasure, rows
from llmops.preferences import save as save_module
from llmops.preferences.erasure import redact, snapshots_with
from llmops.preferences.save import save
from llmops.preferences.snapshot import HOLDOUT, Snapshot, find_snapshot, read_snapshot, snapshots
from llmops.store.paths import ProjectPaths
from tests.fast.said import Said, recipe


@pytest.fixture
def paths(tmp_path: Path) -> ProjectPaths:
    return ProjectPaths(tmp_path)


@pytest.fixture
def said() -> Said:
    said = Said()
    for number in range(40):
        prompt = f"prompt {number}: né ☃"
        good = said.ask(prompt, f'good\n"{number}"', f"user {number}")
        said.vote(good, said.ask(prompt, "bad", f"user {number}"), "first", f"user {number}")
    return said


def made(said: Said, paths: ProjectPaths, **changes: object) -> Snapshot:
    with_split = recipe("votes", holdout=0.2, **changes)
    return save(said.build("votes", holdout=0.2, **changes), with_split, paths, run="r1")


def lines(file: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def test_a_snapshot_holds_what_was_built(said: Said, paths: ProjectPaths) -> None:
    snapshot = made(said, paths)
    stored = pl.read_parquet(snapshot.pairs)
    assert rows.digest(stored) == snapshot.digest
    assert snapshot.counts == {
        "train": len(lines(snapshot.train)),
        "holdout": len(lines(snapshot.directory / HOLDOUT)),
    }
    assert sum(snapshot.counts.values()) == 40
    assert snapshot.id == "preferences:town@1"
    for name, digest in snapshot.manifest.files.items():
        assert hashlib.sha256((snapshot.directory / name).read_bytes()).hexdigest() == digest


def test_the_lines_are_the_engines_layout(said: Said, paths: ProjectPaths) -> None:
    (row,) = [r for r in lines(made(said, paths).train) if "prompt 7:" in str(r)]
    assert row == {
        "messages": [{"role": "user", "content": "prompt 7: né ☃"}],
        "chosen": {"role": "assistant", "content": 'good\n"7"'},
        "rejected": {"role": "assistant", "content": "bad"},
    }


def test_the_lines_of_kto_end_in_the_answer(paths: ProjectPaths) -> None:
    said = Said()
    said.thumb(said.ask("p", "a"), True)
    said.thumb(said.ask("p", "b"), False)
    built = said.build("thumbs", layout="unpaired")
    snapshot = save(built, recipe("thumbs", layout="unpaired"), paths)
    assert snapshot.layout == "kto"
    first, _ = lines(snapshot.train)
    assert first["messages"] == [
        {"role": "user", "content": "p"},
        {"role": "assistant", "content": "a"},
    ]
    assert first["label"] is True


def test_the_same_rows_are_the_same_snapshot(said: Said, paths: ProjectPaths) -> None:
    first = made(said, paths)
    assert made(said, paths).id == first.id
    said.vote(said.ask("new", "a"), said.ask("new", "b"), "first")
    assert made(said, paths).id == "preferences:town@2"
    del said.events[-1]
    assert made(said, paths).id == first.id
    assert len(snapshots("town", paths)) == 2


def test_texts_that_run_into_each_other_are_told_apart(said: Said) -> None:
    frame = said.build("votes").rows.head(1)
    one = frame.with_columns(chosen=pl.lit("a\n1\nb"), rejected=pl.lit("c"))
    other = frame.with_columns(chosen=pl.lit("a"), rejected=pl.lit("b\n1\nc"))
    assert rows.digest(one) != rows.digest(other)


def test_another_supporter_of_a_pair_is_another_snapshot_of_the_same_training_data(
    said: Said, paths: ProjectPaths
) -> None:
    first = made(said, paths)
    said.vote(said.answers[0]["id"], said.answers[1]["id"], "first", "somebody else")
    second = made(said, paths)
    assert second.digest != first.digest
    assert second.manifest.files["train.jsonl"] == first.manifest.files["train.jsonl"]


def test_a_crash_leaves_no_half_of_a_snapshot(
    said: Said, paths: ProjectPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", killed)
        with pytest.raises(KeyboardInterrupt):
            made(said, paths)
    assert snapshots("town", paths) == []
    assert list(paths.snapshots("town").iterdir()) == []
    assert made(said, paths).id == "preferences:town@1"


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("tovn", "no snapshot of preferences:tovn\n  -> did you mean `town`?"),
        ("city", "no snapshot of preferences:city"),
        ("town@7", "no snapshot preferences:town@7\n  -> the newest: town@1"),
        ("town@x", "names no snapshot"),
        ("../town", "names no snapshot"),
    ],
)
def test_a_snapshot_that_does_not_exist(
    said: Said, paths: ProjectPaths, target: str, words: str
) -> None:
    made(said, paths)
    with pytest.raises(BadInput) as caught:
        find_snapshot(target, paths, "dpo.yaml:5: data.train.0")
    assert words in str(caught.value)
    assert str(caught.value).startswith("dpo.yaml:5")


def test_the_newest_is_found_unless_one_is_pinned(said: Said, paths: ProjectPaths) -> None:
    made(said, paths)
    said.vote(said.ask("new", "a"), said.ask("new", "b"), "first")
    made(said, paths)
    assert find_snapshot("town", paths).id == "preferences:town@2"
    assert find_snapshot("town@1", paths).id == "preferences:town@1"


def test_a_damaged_manifest_is_told(said: Said, paths: ProjectPaths) -> None:
    snapshot = made(said, paths)
    (snapshot.directory / "snapshot.json").write_text("{", encoding="utf-8")
    with pytest.raises(Failed, match="is damaged"):
        find_snapshot("town", paths)


def test_erasing_takes_out_the_rows_of_an_id(said: Said, paths: ProjectPaths) -> None:
    snapshot = made(said, paths)
    asked, event = said.answers[6]["id"], said.events[5]["id"]
    assert [(one.id, count) for one, count in snapshots_with([asked, event, "x"], paths)] == [
        (snapshot.id, 2)
    ]
    after = redact(snapshot, [asked, event])
    assert sum(after.counts.values()) == 38
    text = "".join(file.read_text(errors="replace") for file in after.directory.iterdir())
    assert "prompt 3:" not in text
    assert "prompt 5:" not in text
    assert "prompt 4:" in text
    assert snapshots_with([asked, event], paths) == []


def test_erasing_leaves_a_tombstone_with_the_digests_of_before(
    said: Said, paths: ProjectPaths
) -> None:
    snapshot = made(said, paths)
    after = redact(snapshot, [said.answers[0]["id"]])
    (tombstone,) = after.manifest.tombstones
    assert (tombstone.before, tombstone.after) == (snapshot.digest, after.digest)
    assert tombstone.train == snapshot.manifest.files["train.jsonl"]
    assert tombstone.pairs == 1
    assert rows.digest(pl.read_parquet(after.pairs)) == after.digest
    assert snapshot.digest in (after.directory / "card.md").read_text(encoding="utf-8")


def test_erasing_nothing_changes_nothing(said: Said, paths: ProjectPaths) -> None:
    snapshot = made(said, paths)
    before = {file: file.read_bytes() for file in snapshot.directory.iterdir()}
    assert redact(snapshot, ["nobody's"]) == snapshot
    assert {file: file.read_bytes() for file in snapshot.directory.iterdir()} == before


@pytest.mark.parametrize("step", range(1, 6))
def test_an_interrupted_erasure_is_finished_by_doing_it_again(
    said: Said, paths: ProjectPaths, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    snapshot = made(said, paths)
    ids = [said.answers[0]["id"]]
    left = [step]

    def replace(self: Path, target: Path) -> Path:
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt
        os.replace(self, target)
        return target

    def describe(*args: Any) -> None:
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt
        save_describe(*args)

    save_describe = save_module.describe
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", replace)
        patch.setattr(erasure, "describe", describe)
        if step < 5:
            with pytest.raises(KeyboardInterrupt):
                redact(snapshot, ids)
            assert snapshots_with(ids, paths)
        else:
            redact(snapshot, ids)
    after = redact(read_snapshot(snapshot.directory), ids)
    assert len(after.manifest.tombstones) == 1
    assert after.manifest.tombstones[0].before == snapshot.digest
    assert sorted(p.name for p in after.directory.iterdir()) == sorted(
        ["card.md", "holdout.jsonl", "pairs.parquet", "snapshot.json", "train.jsonl"]
    )
    assert rows.digest(pl.read_parquet(after.pairs)) == after.digest
    for name, digest in after.manifest.files.items():
        assert hashlib.sha256((after.directory / name).read_bytes()).hexdigest() == digest


def test_copies_in_attempts_are_erased_with_the_rows(said: Said, paths: ProjectPaths) -> None:
    snapshot = made(said, paths)
    own, other = (paths.run("r1").attempt(name, 1) for name in ("dpo", "sft"))
    for attempt, named in ((own, str(snapshot.train)), (other, "/elsewhere/train.jsonl")):
        attempt.datasets.mkdir(parents=True)
        attempt.tokenized.mkdir()
        (attempt.root / "dataset_info.json").write_text(json.dumps({"a": {"file_name": named}}))
        attempt.log.write_text("an example: né")
    redact(snapshot, [said.answers[0]["id"]])
    assert not any(folder.exists() for folder in (own.datasets, own.tokenized))
    assert other.tokenized.exists()
    assert "né" not in own.log.read_text()
    assert other.log.read_text() == "an example: né"


def test_tokenized_data_of_the_rows_is_erased_with_them(said: Said, paths: ProjectPaths) -> None:
    snapshot, cache = made(said, paths), Tokenized(paths.tokenized)
    files = snapshot.manifest.files
    sources = {
        "own": (snapshot.train, files["train.jsonl"]),
        "held out": (snapshot.directory / "holdout.jsonl", files["holdout.jsonl"]),
        "where the project was before": (paths.root / "old.jsonl", files["train.jsonl"]),
        "other": (paths.root / "other.jsonl", "0" * 64),
    }
    for key, (path, digest) in sources.items():
        folder = paths.run("r1").attempt("dpo", 1).tokenized
        (folder / "data").mkdir(parents=True)
        (folder / "data" / "tokens.arrow").write_text(key)
        data = DataSet(path, "preference", {}, 1, digest)
        cache.keep(key, folder, [data])
    redact(snapshot, [said.answers[0]["id"]])
    assert list(cache) == ["other"]
