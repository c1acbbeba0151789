"""Triggers that wait for new pairs: looks, exact counts in a process of their own, and when they
fire. The journal is the real one."""

from pathlib import Path
from typing import Any

import pytest

from llmops.preferences.build import build
from llmops.preferences.save import save
from llmops.preferences.source import read_log
from llmops.runner.patience import REST
from llmops.scheduling import looks
from llmops.scheduling.pairs import count
from llmops.scheduling.unread import LEFT
from llmops.spec.load import load_recipe
from llmops.store.paths import ProjectPaths
from tests.fast.logged import write
from tests.fast.said import Said
from tests.fast.scheduled import Scheduled
from tests.waiting import until

THREE = "{feedback: {new_pairs: 3}}"
HOUR = 3600


@pytest.fixture
def said() -> Said:
    return Said()


def vote(scheduled: Scheduled, said: Said, pairs: int) -> None:
    """So many more pairs, written by a gateway and brought in by the ingester."""
    answers, events = len(said.answers), len(said.events)
    for number in range(pairs):
        prompt = f"prompt {len(said.answers)}"
        said.vote(said.ask(prompt, f"good {number}"), said.ask(prompt, "bad"), "first", "ann")
    new = [*said.answers[answers:], *said.events[events:]]
    write(ProjectPaths(scheduled.settings.root), new, f"town-{answers}")
    scheduled.ingest()


def snapshot(scheduled: Scheduled) -> Path:
    """What the pipeline's stage makes of the log."""
    recipe = load_recipe(scheduled.settings.root / "recipes" / "pairs.yaml").spec
    built = build(read_log(scheduled.settings, recipe), recipe)
    return save(built, recipe, ProjectPaths(scheduled.settings.root)).directory


def have(scheduled: Scheduled) -> int:
    return int(count(scheduled.settings, "pipelines/town.yaml", "feedback")["have"])


def test_enough_new_pairs_are_counted_and_fire_once(scheduled: Scheduled, said: Said) -> None:
    scheduled.declare(THREE)
    vote(scheduled, said, 3)
    assert len(scheduled.settle()) == 1
    assert scheduled.after(10) == []
    assert [row[1:] for row in scheduled.history()] == [("started", "3 new pairs (3 asked for)")]
    (found,) = scheduled.schedules.list()["items"]
    assert found["pairs"] == {"have": 0, "need": 3}


def test_pairs_of_the_newest_snapshot_are_not_new(scheduled: Scheduled, said: Said) -> None:
    scheduled.declare(THREE)
    vote(scheduled, said, 4)
    assert have(scheduled) == 4
    snapshot(scheduled)
    assert have(scheduled) == 0
    vote(scheduled, said, 2)
    assert have(scheduled) == 2


def test_another_vote_makes_no_new_pair_but_another_winner_does(
    timetable: Scheduled, said: Said
) -> None:
    timetable.declare(THREE)
    vote(timetable, said, 1)
    snapshot(timetable)
    first, second = (str(answer["id"]) for answer in said.answers)
    for users, expected in ((["bob"], 0), (["cid", "dan", "eve", "fay"], 1)):
        before = len(said.events)
        for user in users:
            said.vote(first, second, "first" if user == "bob" else "second", user)
        write(ProjectPaths(timetable.settings.root), said.events[before:], f"town-{users[0]}")
        assert have(timetable) == expected


def test_a_run_that_failed_is_not_tried_again_with_the_same_pairs(timetable: Scheduled) -> None:
    timetable.declare(THREE)
    timetable.counted(3)
    assert len(timetable.tick()) == 1
    timetable.end_jobs("failed")
    timetable.counted(5)
    assert timetable.after(10) == []
    timetable.counted(6)
    assert len(timetable.after(10)) == 1
    timetable.end_jobs("done")
    timetable.counted(3, snapshot="preferences:town@1")
    assert len(timetable.after(10)) == 1


def test_a_start_by_hand_takes_the_pairs(timetable: Scheduled) -> None:
    timetable.declare(THREE)
    timetable.counted(3)
    timetable.schedules.run_now("town/feedback", "cli:ann")
    timetable.end_jobs()
    assert timetable.after(10) == []


def test_the_cooldown_is_told_once_and_ends(timetable: Scheduled) -> None:
    timetable.declare("{feedback: {new_pairs: 1, cooldown: 24h}}")
    timetable.counted(1)
    assert len(timetable.tick()) == 1
    timetable.end_jobs()
    timetable.counted(2)
    assert timetable.after(HOUR) == timetable.after(HOUR) == []
    assert [row[2].split(" (")[0] for row in timetable.history()][1:] == [
        "cooldown: until 2026-11-21T12:00:00+00:00"
    ]
    assert len(timetable.after(22 * HOUR)) == 1


def test_what_holds_it_back_is_told_once_each(scheduled: Scheduled) -> None:
    scheduled.declare(THREE)
    scheduled.counted(3)
    scheduled.schedules.pause("town/feedback", "cli:ann", "holidays")
    assert scheduled.tick() == scheduled.after(60) == []
    scheduled.schedules.halt("cli:bob")
    assert scheduled.after(60) == scheduled.after(60) == []
    assert [row[1:] for row in scheduled.history()] == [
        ("skipped", "paused by cli:ann: holidays"),
        ("skipped", "halted by cli:bob"),
    ]
    scheduled.schedules.unhalt("cli:bob")
    scheduled.schedules.resume("town/feedback", "cli:ann")
    assert len(scheduled.after(60)) == 1


@pytest.mark.slow
def test_one_of_several_schedulers_counts_and_one_fires(scheduled: Scheduled, said: Said) -> None:
    scheduled.declare(THREE)
    vote(scheduled, said, 3)
    others = [scheduled.scheduler() for _ in range(3)]
    started = [job for one in others for job in one.tick(scheduled.database)]
    assert [one.is_busy for one in others].count(True) == 1

    def counted() -> bool:
        started.extend(job for one in others for job in one.tick(scheduled.database))
        return not any(one.is_busy for one in others)

    until(counted, 60)
    scheduled.clock.move(10)
    started += [job for one in others for job in one.tick(scheduled.database)]
    assert len(started) == len(scheduled.jobs()) == 1


def test_the_lease_of_a_scheduler_that_died_is_taken_over(scheduled: Scheduled, said: Said) -> None:
    scheduled.declare(THREE)
    vote(scheduled, said, 3)
    dead = scheduled.scheduler()
    dead.tick(scheduled.database)
    dead.close()
    assert scheduled.after(30) == []
    assert not scheduled.triggers.is_busy
    scheduled.after(31)
    assert scheduled.triggers.is_busy


def test_looks_without_news_start_no_process(timetable: Scheduled, said: Said) -> None:
    timetable.declare(THREE)
    vote(timetable, said, 2)
    timetable.counted(2)
    timetable.after(HOUR)
    assert not timetable.triggers.is_busy
    said.answers.pop()  # the rest, once more
    write(ProjectPaths(timetable.settings.root), said.records, "town-again")
    timetable.ingest()
    timetable.after(HOUR)
    assert not timetable.triggers.is_busy
    vote(timetable, said, 1)
    timetable.after(10)
    assert timetable.triggers.is_busy


def test_a_journal_that_nobody_reads_is_counted_too(timetable: Scheduled, said: Said) -> None:
    timetable.declare(THREE)
    timetable.counted(0)
    said.vote(said.ask("p", "a"), said.ask("p", "b"), "first", "ann")
    write(ProjectPaths(timetable.settings.root), said.records)
    timetable.after(10)
    timetable.after(LEFT / 1000 - 1)
    assert not timetable.triggers.is_busy
    timetable.after(10)
    assert timetable.triggers.is_busy


def test_counts_follow_each_other_at_first_and_take_a_tenth_of_the_time() -> None:
    seen: dict[str, Any] = {}
    began: list[int] = []
    now, took = 1_800_000_000_000, 6.0
    end = now + 3_600_000
    while now < end:
        now = max(now, looks._soonest(seen, now))
        began.append(now)
        now += round(took * 1000)
        seen = {"counted": now, "rested": looks._rested(seen, now, took)}
    assert began[2] - began[0] == 2 * (took * 1000 + looks.EVERY)
    assert len(began) * took <= 0.1 * 3600 + looks.BURST / 1000 / REST + took


def test_a_count_that_fails_is_told_once(timetable: Scheduled, said: Said) -> None:
    timetable.declare(THREE)
    vote(timetable, said, 3)
    (snapshot(timetable) / "snapshot.json").write_text("{", encoding="utf-8")
    assert timetable.settle() == []
    timetable.settle(70)
    (told,) = timetable.history()
    assert told[2].startswith("the pairs could not be counted: ")
    assert "the snapshot is damaged" in told[2]


def test_which_pairs_is_open_is_a_problem(timetable: Scheduled) -> None:
    timetable.declare(THREE)
    text = timetable.file.read_text(encoding="utf-8")
    recipes = timetable.settings.root / "recipes"
    other = (recipes / "pairs.yaml").read_text(encoding="utf-8")
    (recipes / "more.yaml").write_text(other, encoding="utf-8")
    two = text.replace("triggers:", "  more: {recipe: recipes/more.yaml}\ntriggers:")
    timetable.file.write_text(two, encoding="utf-8")
    (problem,) = timetable.schedules.list()["problems"]
    assert "several stages that make preferences" in problem
    named = two.replace("new_pairs: 3", "new_pairs: 3, recipe: recipes/more.yaml")
    timetable.file.write_text(named, encoding="utf-8")
    assert timetable.schedules.list()["problems"] == []


def test_the_recipe_is_counted_as_the_pipeline_changes_it(timetable: Scheduled, said: Said) -> None:
    timetable.declare(THREE)
    vote(timetable, said, 3)
    assert have(timetable) == 3
    text = timetable.file.read_text(encoding="utf-8")
    stage = "{recipe: recipes/pairs.yaml, set: {builders: {edits: {}}}}"
    text = text.replace("{recipe: recipes/pairs.yaml}", stage)
    timetable.file.write_text(text, encoding="utf-8")
    assert have(timetable) == 0
