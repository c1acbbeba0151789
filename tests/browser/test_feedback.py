"""The Feedback tab as it is used: looked through, filtered, exported, forgotten."""

import json
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Seen
from tests.browser.pages import confirm, open_tab, shown, trouble
from tests.browser.street import Street

pytestmark = pytest.mark.slow


def test_the_log_is_paged_by_the_server(town: Street, page: Page) -> None:
    panel = open_tab(page, town.ui, "feedback")
    rows = panel.locator("#feedback-table tbody tr")
    first = rows.first.locator("a.ll-open").get_attribute("href")
    expect(rows).to_have_count(25)
    panel.get_by_role("link", name="Next page").click()
    expect(panel.get_by_role("link", name="First page")).to_be_visible()
    assert rows.first.locator("a.ll-open").get_attribute("href") != first
    page.go_back()
    expect(panel.get_by_role("link", name="First page")).to_have_count(0)


def test_filters_narrow_the_log_and_stand_in_the_address(town: Street, page: Page) -> None:
    panel = open_tab(page, town.ui, "feedback")
    filters = panel.locator("#feedback-filters")
    filters.get_by_role("link", name="edit", exact=True).click()
    expect(filters.locator(".ll-chosen", has_text="edit")).to_be_visible()
    filters.get_by_role("link", name="candidate", exact=True).click()
    expect(filters.locator(".ll-chosen", has_text="candidate")).to_be_visible()
    kinds = set(panel.locator("#feedback-table tbody td:nth-child(2)").all_inner_texts())
    assert kinds == {"edit"}
    assert "variant=candidate" in page.url
    assert "kind=edit" in page.url


def test_of_two_links_in_a_hurry_the_last_one_counts(town: Street, page: Page) -> None:
    panel = open_tab(page, town.ui, "feedback")
    page.evaluate(
        """() => {
            const links = [...document.querySelectorAll("#feedback-filters a")];
            for (const name of ["edit", "choice", "candidate"])
                links.find((one) => one.textContent === name).click();
        }"""
    )
    chosen = panel.locator("#feedback-filters .ll-chosen")
    expect(chosen.nth(3)).to_have_text("candidate")
    expect(chosen.nth(4)).to_have_text("all")
    assert "variant=candidate" in page.url


def test_a_filter_that_nothing_matches_leads_back(town: Street, page: Page) -> None:
    panel = open_tab(page, town.ui, "feedback", kind="metric")
    expect(panel).to_contain_text("Nothing matches")
    panel.get_by_role("link", name="Show all").click()
    expect(panel.locator("#feedback-table")).to_be_visible()


def test_figures_are_those_of_the_log(town: Street, page: Page) -> None:
    panel = open_tab(page, town.ui, "feedback")
    found = town.api("GET", "/feedback/stats")["items"]
    one = next(one for one in found if one["version"] == "town:v1" and not one["source"])
    row = panel.locator("#feedback-stats tr", has_text="town:v1")
    expect(row).to_contain_text(f"{one['answers']}")
    expect(row).to_contain_text(f"{round(100 * one['feedback']['thumbs']['mean'])}%")


def test_an_answer_tells_what_was_made_of_it(town: Street, page: Page) -> None:
    """One that is in the snapshot of pairs that the project has."""
    edits = town.api("GET", "/feedback", params={"kind": "edit", "limit": 200})["items"]
    used = next(
        one["inference"]
        for one in edits
        if town.api("GET", f"/feedback/{one['inference']}")["snapshots"]
    )
    panel = open_tab(page, town.ui, "feedback", id=used)
    expect(panel.locator("#feedback-answer")).to_contain_text("pair")
    expect(panel.locator("#feedback-events")).to_contain_text("edit")
    panel.get_by_role("link", name="All feedback").click()
    expect(panel.locator("#feedback-table")).to_be_visible()


def test_an_answer_that_is_not_there_is_said(town: Street, page: Page) -> None:
    page.goto(f"{town.ui}/?tab=feedback&id=nothing")
    shown_ = page.locator("#feedback-trouble [role=alert]")
    expect(shown_).to_contain_text("there is no answer")


def test_what_is_hostile_in_the_log_is_only_text(town: Street, page: Page, seen: Seen) -> None:
    panel = open_tab(page, town.ui, "feedback", kind="comment")
    bad = panel.locator("a.ll-open", has_text="<script>").first
    bad.click()
    expect(panel.locator("#feedback-answer")).to_contain_text("<script>window.owned")
    open_tab(page, town.ui, "feedback", view="answers")
    assert page.evaluate("window.owned") is None
    assert (seen.errors, seen.abroad) == ([], [])
    assert trouble(page) == []


def test_the_log_is_downloaded(town: Street, page: Page, tmp_path: Path) -> None:
    panel = open_tab(page, town.ui, "feedback")
    with page.expect_download() as found:
        panel.get_by_role("link", name="Export as JSON lines").click()
    found.value.save_as(tmp_path / "log.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text("utf-8").splitlines()]
    assert {line["type"] for line in lines} == {"inference", "feedback"}
    counted = town.api("GET", "/feedback/stats")["items"]
    answers = [line for line in lines if line["type"] == "inference"]
    assert abs(len(answers) - sum(one["answers"] for one in counted)) < 20


def test_forgetting_asks_first_and_reports(town: Street, page: Page) -> None:
    panel = open_tab(page, town.ui, "feedback")
    panel.get_by_role("button", name="Forget a user…").click()
    confirm(page, "Cancel")
    panel.get_by_role("button", name="Forget a user…").click()
    confirm(page, "Forget a user", why="user-3")
    report = panel.locator("#feedback-forgotten")
    expect(report).to_contain_text("The user is forgotten")
    left = town.api("GET", "/feedback/answers", params={"user": "user-3"})["items"]
    assert left
    assert all(one["redacted"] for one in left)


def test_a_user_whom_nobody_knows_is_said(town: Street, page: Page) -> None:
    panel = open_tab(page, town.ui, "feedback")
    panel.get_by_role("button", name="Forget a user…").click()
    confirm(page, "Forget a user", why="nobody such")
    expect(panel.locator("#feedback-forgotten")).to_contain_text("Nothing in the log")
    shown(page, "feedback")
