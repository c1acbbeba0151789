"""`llmops preferences`, and what it exports."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from llmops.cli.preferences import app
from llmops.data.inspect import inspect_data
from llmops.errors import BadInput
from llmops.preferences.erasure import redact
from llmops.preferences.save import save
from llmops.preferences.snapshot import Snapshot
from llmops.spec.recipe import DataFile
from llmops.store.paths import ProjectPaths
from tests.fast.said import Said, recipe


@pytest.fixture
def snapshot(project: Path) -> Snapshot:
    said = Said()
    for number in range(20):
        prompt = [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": f"question {number}?"},
        ]
        source = "simulated:town-users" if number == 3 else None
        good, bad = (said.ask(prompt, text, source=source) for text in ("yes", "well, yes"))
        said.vote(good, bad, "first", f"user {number}")
    changes = {"holdout": 0.2, "simulated": True}
    built = said.build("votes", **changes)
    return save(built, recipe("votes", **changes), ProjectPaths(project))


def told(*args: str) -> str:
    done = CliRunner().invoke(app, list(args), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def rows(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def test_snapshots_are_listed(snapshot: Snapshot) -> None:
    (one,) = json.loads(told("list", "--json"))
    assert one["id"] == "preferences:town@1"
    assert (one["train"] + one["holdout"], one["builders"]) == (20, {"votes": 20})
    assert one["simulated"] is True
    assert "preferences:town@1" in told("list")


def test_nothing_is_listed_without_snapshots(project: Path) -> None:
    assert told("list", "--json") == "[]\n"


def test_a_snapshot_shows_its_card_and_what_trained_on_it(snapshot: Snapshot) -> None:
    text = told("show", "town@1")
    assert "# preferences:town@1" in text
    assert "**Simulated**: feedback of simulated users went into 1 of 20 rows." in text
    assert "| votes | 20 | 20 |" in text
    assert "trained on it: nothing yet" in text
    assert json.loads(told("show", "preferences:town", "--json"))["digest"] == snapshot.digest


def test_trl_gets_its_conversational_columns(snapshot: Snapshot, project: Path) -> None:
    printed = told("export", "town", "--format", "trl", "-o", "out")
    assert printed.split() == ["out/README.md", "out/test.jsonl", "out/train.jsonl"]
    first = rows(project / "out/train.jsonl")[0]
    assert [turn["role"] for turn in first["prompt"]] == ["system", "user"]
    assert first["chosen"] == [{"role": "assistant", "content": "yes"}]
    assert first["rejected"] == [{"role": "assistant", "content": "well, yes"}]
    assert len(rows(project / "out/test.jsonl")) == snapshot.counts["holdout"]


def test_llamafactory_gets_files_and_their_description(snapshot: Snapshot, project: Path) -> None:
    told("export", "town", "--format", "llamafactory", "-o", "out")
    info = json.loads((project / "out/dataset_info.json").read_text(encoding="utf-8"))
    assert set(info) == {"train", "holdout"}
    assert info["train"]["file_name"] == "train.jsonl"
    assert info["train"]["ranking"] is True
    data = inspect_data(DataFile(path="train.jsonl"), project / "out/train.jsonl")
    assert (data.layout, data.convert) == ("preference", False)
    assert data.samples == snapshot.counts["train"]


def test_lines_keep_the_ids_that_each_row_came_from(snapshot: Snapshot, project: Path) -> None:
    told("export", "town", "--format", "jsonl", "-o", "out")
    (row,) = [r for r in rows(project / "out/rows.jsonl") if r["events"] == ["event-3"]]
    assert len(row["inferences"]) == 2
    assert row["source"] == "simulated"


def test_kto_is_exported_as_single_answers(project: Path) -> None:
    said = Said()
    for number in range(4):
        said.thumb(said.ask(f"p{number}", f"answer {number}"), number % 2 == 0)
    built = said.build("thumbs", layout="unpaired")
    save(built, recipe("thumbs", layout="unpaired"), ProjectPaths(project))
    told("export", "town", "--format", "trl", "-o", "out")
    found = rows(project / "out/train.jsonl")
    assert sorted(row["completion"][0]["content"] for row in found if row["label"]) == [
        "answer 0",
        "answer 2",
    ]
    assert all([turn["role"] for turn in row["prompt"]] == ["user"] for row in found)


def test_what_was_erased_is_not_exported(snapshot: Snapshot, project: Path) -> None:
    redact(snapshot, ["event-3"])
    told("export", "town", "--format", "jsonl", "-o", "out")
    assert len(rows(project / "out/rows.jsonl")) == 19
    assert "## Erased" in told("show", "town")


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("town", "--format", "tlr", "-o", "out"), "did you mean `trl`"),
        (("town", "--format", "trl", "-o", "."), "it exists already"),
        (("city", "--format", "trl", "-o", "out"), "no snapshot of preferences:city"),
    ],
)
def test_a_bad_export_is_told(snapshot: Snapshot, args: tuple[str, ...], words: str) -> None:
    with pytest.raises(BadInput) as caught:
        told("export", *args)
    assert words in str(caught.value)
