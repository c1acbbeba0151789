"""`llmops schedule`."""

import json
from pathlib import Path

import pytest

from tests.conftest import Llmops

PIPELINE = """\
name: town
stages: {pairs: {recipe: pairs.yaml}}
triggers:
  - {cron: "0 3 * * 1", timezone: Europe/Berlin}
  - {feedback: {new_pairs: 5}}
  - {webhook: TOWN_SECRET}
"""
RECIPE = """\
kind: preferences
deployment: town
builders: {votes: {}}
output: {preferences: town}
"""


@pytest.fixture(autouse=True)
def town(project: Path) -> Path:
    folder = project / "pipelines"
    folder.mkdir()
    (folder / "pairs.yaml").write_text(RECIPE, encoding="utf-8")
    (folder / "pairs.yaml").rename(project / "pairs.yaml")
    file = folder / "town.yaml"
    file.write_text(PIPELINE, encoding="utf-8")
    return file


def listed(llmops: Llmops) -> dict[str, dict[str, object]]:
    found = json.loads(llmops("schedule", "list", "--json").stdout)
    return {one["id"]: one for one in found["items"]}


def test_the_list_says_what_is_declared(llmops: Llmops) -> None:
    found = listed(llmops)
    assert list(found) == ["town/cron", "town/feedback", "town/webhook"]
    assert found["town/feedback"]["pairs"] == {"have": None, "need": 5}
    shown = llmops("schedule", "list").stdout
    assert "0 3 * * 1 (Europe/Berlin)" in shown
    assert "? of 5 new pairs" in shown


def test_next_times_and_why_there_are_none(llmops: Llmops) -> None:
    found = llmops("schedule", "next", "town/cron", "-n", "3")
    assert len(found.stdout.split()) == 3
    assert "enough new pairs" in llmops("schedule", "next", "town/feedback").stderr
    assert "when it is called" in llmops("schedule", "next", "town/webhook").stderr


def test_run_queues_and_history_tells(llmops: Llmops) -> None:
    job = llmops("schedule", "run", "town/cron").stdout.strip()
    (found,) = json.loads(llmops("schedule", "history", "--json").stdout)
    assert (found["job"], found["outcome"]) == (job, "started")
    assert found["reason"].startswith("by hand (cli:")
    assert job in llmops("schedule", "history", "town/cron").stdout


def test_pause_and_resume(llmops: Llmops) -> None:
    assert llmops("schedule", "pause", "town/cron", "--why", "holidays").returncode == 0
    assert "paused: holidays" in llmops("schedule", "list").stdout
    assert llmops("schedule", "resume", "town/cron").returncode == 0
    assert listed(llmops)["town/cron"]["paused"] is None


def test_halt_and_unhalt(llmops: Llmops) -> None:
    assert "halted by cli:" in llmops("schedule", "halt", "--why", "the disk is full").stdout
    assert "the disk is full" in llmops("schedule", "list").stderr
    refused = llmops("schedule", "run", "town/cron")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "llmops schedule unhalt" in refused.stderr
    assert llmops("schedule", "unhalt").stdout == "starting again\n"
    assert llmops("schedule", "unhalt").stdout == "nothing was halted\n"


@pytest.mark.parametrize("command", ["next", "run", "pause", "resume", "history"])
def test_a_name_that_is_none(llmops: Llmops, command: str) -> None:
    found = llmops("schedule", command, "town/crn")
    assert found.returncode == 2
    assert "did you mean `town/cron`?" in found.stderr


def test_a_file_that_is_broken_is_told_and_starts_nothing(llmops: Llmops, town: Path) -> None:
    llmops("schedule", "list")
    town.write_text(PIPELINE.replace("0 3", "99 3"), encoding="utf-8")
    shown = llmops("schedule", "list")
    assert "pipelines/town.yaml:4: triggers.0.cron" in shown.stderr
    assert "gone" in shown.stdout
    found = llmops("schedule", "run", "town/cron")
    assert found.returncode == 2
    assert "is not declared: pipelines/town.yaml:4" in found.stderr


def test_without_triggers(llmops: Llmops, town: Path) -> None:
    town.unlink()
    assert "declares `triggers:`" in llmops("schedule", "list").stderr
    assert "nothing has fired yet" in llmops("schedule", "history").stderr
