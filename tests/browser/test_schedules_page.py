"""The Schedules tab as it is used: paused and resumed, run by hand, agreed to, all of it halted."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.pages import confirm, open_tab
from tests.browser.street import Street
from tests.waiting import until

pytestmark = pytest.mark.slow
WEEKLY, MONTHLY = "town/weekly", "pairs/monthly"


def schedule(town: Street, id: str) -> dict[str, Any]:
    items: list[dict[str, Any]] = town.api("GET", "/schedules")["items"]
    return next(one for one in items if one["id"] == id)


@pytest.fixture
def waiting(town: Street) -> str:
    """A run of which a stage waits for a person: a promotion to staging."""
    run = str(town.api("POST", f"/schedules/{MONTHLY}/run", json={})["job"])
    until(lambda: any(one["run"] == run for one in town.api("GET", "/approvals")["items"]), 60)
    return run


@pytest.fixture
def unhalted(town: Street) -> Iterator[None]:
    yield
    town.api("POST", "/schedules/unhalt", json={})


def test_a_schedule_is_paused_with_a_reason_and_resumed(town: Street, page: Page) -> None:
    panel = open_tab(page, town.ui, "schedules")
    panel.get_by_role("button", name=f"Pause {WEEKLY}").click()
    confirm(page, "Pause…", why="the judge is on holiday")
    expect(panel).to_contain_text("the judge is on holiday")
    assert schedule(town, WEEKLY)["paused"]["why"] == "the judge is on holiday"
    panel.get_by_role("button", name=f"Resume {WEEKLY}").click()
    expect(panel.get_by_role("button", name=f"Pause {WEEKLY}")).to_be_visible()
    assert schedule(town, WEEKLY)["paused"] is None


def test_without_a_reason_nothing_is_paused(town: Street, page: Page) -> None:
    panel = open_tab(page, town.ui, "schedules")
    panel.get_by_role("button", name=f"Pause {WEEKLY}").click()
    dialog = page.get_by_role("dialog")
    page.keyboard.press("Enter")
    expect(dialog).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    assert schedule(town, WEEKLY)["paused"] is None


def test_a_run_by_hand_is_in_the_history(town: Street, page: Page) -> None:
    panel = open_tab(page, town.ui, "schedules", schedule=MONTHLY)
    panel.get_by_role("button", name=f"Run {MONTHLY} now").click()
    confirm(page, "Run now")
    expect(page.locator("#schedules-said")).to_contain_text("was started by hand")
    last = schedule(town, MONTHLY)["last"]
    assert last["outcome"] == "started"
    expect(panel.get_by_role("link", name=str(last["job"])).first).to_be_visible()


def test_a_schedule_says_when_it_fires_next(town: Street, page: Page) -> None:
    panel = open_tab(page, town.ui, "schedules", schedule=WEEKLY)
    expect(panel).to_contain_text("Mondays at 03:00, Europe/Berlin")
    expect(panel.locator(".ll-times li")).to_have_count(5)


def test_a_stage_that_waits_is_agreed_to(town: Street, page: Page, waiting: str) -> None:
    panel = open_tab(page, town.ui, "schedules")
    item = panel.locator(".ll-waiting > li", has_text=waiting)
    item.get_by_role("button", name="Approve").click()
    confirm(page, "Approve", why="read and agreed")
    expect(item).to_have_count(0)
    until(lambda: town.api("GET", f"/runs/{waiting}")["state"] == "done", 60)
    assert town.api("GET", "/models/town")["aliases"]["staging"] == "town:v3"


@pytest.mark.usefixtures("unhalted")
def test_everything_is_halted_by_keyboard_and_goes_on(town: Street, page: Page) -> None:
    panel = open_tab(page, town.ui, "schedules")
    panel.get_by_role("button", name="Halt everything…").press("Enter")
    page.get_by_role("dialog").get_by_role("textbox").fill("smoke")
    page.keyboard.press("Enter")
    expect(panel.get_by_role("alert")).to_contain_text("smoke")
    expect(panel.get_by_role("button", name=f"Run {WEEKLY} now")).to_be_disabled()
    assert town.api("GET", "/schedules")["halted"]["why"] == "smoke"
    panel.get_by_role("button", name="End the halt").click()
    confirm(page, "End the halt")
    expect(panel.get_by_role("button", name=f"Run {WEEKLY} now")).to_be_enabled()
    assert town.api("GET", "/schedules")["halted"] is None
