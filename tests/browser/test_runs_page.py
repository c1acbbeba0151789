"""The Runs tab as it is used: a run in hand with its curves, one that failed, two side by side."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import NARROW, window
from tests.browser.hostile import HOSTILE
from tests.browser.pages import confirm, open_tab
from tests.browser.street import Street
from tests.waiting import until

pytestmark = pytest.mark.slow


def run_of(town: Street, target: str, state: str) -> str:
    runs = town.api("GET", "/runs")["items"]
    return next(str(r["id"]) for r in runs if r["state"] == state and r["target"] == target)


@pytest.fixture
def live(town: Street) -> Iterator[str]:
    """A training that goes on while it is looked at; its id."""
    yield town.start_live()
    town.stop("live")


def test_a_run_in_hand_is_followed_and_stopped(town: Street, page: Page, live: str) -> None:
    panel = open_tab(page, town.ui, "runs", run=live)
    progress = panel.locator("#run-progress")
    expect(progress).to_contain_text("of 3,000")
    first = progress.inner_text()
    expect(progress).not_to_have_text(first)  # without anybody touching the page
    panel.locator("#run-stop").click()
    confirm(page, "Stop")
    expect(panel).to_contain_text("interrupted")
    until(lambda: town.api("GET", f"/runs/{live}")["state"] == "interrupted")


def test_a_failed_run_says_what_it_said(town: Street, page: Page) -> None:
    run = run_of(town, "pipelines/town.yaml", "failed")
    panel = open_tab(page, town.ui, "runs", run=run)
    expect(panel.locator("#run-stage")).to_contain_text(HOSTILE[0])
    expect(panel.locator("#run-log")).to_contain_text("out of memory")
    alarm = panel.locator("#run-stage .ll-note").first
    expect(alarm).to_contain_text("no preference at step 18: over the last 20 readings")
    expect(alarm).to_contain_text("Training goes on.")
    expect(panel.locator("#run-less")).to_contain_text("args.per_device_train_batch_size=1")
    stages = town.api("GET", f"/runs/{run}")["stages"]
    seen = [(one["name"], alarm["kind"]) for one in stages for alarm in one["alarms"]]
    assert seen == [("dpo", "no_preference")]
    for stage in ("base", "cpt", "sft", "dpo", "release"):
        expect(panel.get_by_text(stage, exact=True).first).to_be_visible()
    open_tab(page, town.ui, "runs", state="failed")
    expect(page.locator("#runs-table .ll-warn").first).to_have_text("no preference")


def test_two_runs_are_compared(town: Street, page: Page) -> None:
    runs = [r["id"] for r in town.api("GET", "/runs")["items"] if "dpo" in r["id"]][:2]
    panel = open_tab(page, town.ui, "runs", pick=runs[0])
    panel.get_by_role("link", name=f"compare {runs[1]}").click()
    panel.get_by_role("link", name="Compare 2 runs").click()
    expect(panel.locator("#runs-comparison")).to_contain_text(runs[1])
    expect(panel.locator("#runs-comparison svg").first).to_be_visible()


def test_runs_are_filtered_by_state(town: Street, page: Page) -> None:
    panel = open_tab(page, town.ui, "runs")
    panel.locator("#runs-filter").get_by_role("link", name="failed").click()
    expect(panel.locator("#runs-table tbody tr")).to_have_count(1)
    assert "state=failed" in page.url


def test_a_run_that_is_not_there_is_told(town: Street, page: Page) -> None:
    page.goto(f"{town.ui}/?tab=runs&run=20200101-000000-nothing")
    expect(page.get_by_role("alert")).to_contain_text("20200101-000000-nothing")
    expect(page.locator(".ll-loading:visible")).to_have_count(0)


IN_VIEW = """it => {
  const [a, b] = [it, it.closest('.ll-graph')].map(one => one.getBoundingClientRect());
  return a.left >= b.left && a.right <= b.right; }"""


def test_a_phone_shows_the_chosen_stage_and_stays_where_one_scrolled(
    town: Street, browser: Browser, live: str
) -> None:
    """The page of a run in hand is drawn anew each second."""
    with window(browser, viewport=NARROW, has_touch=True, is_mobile=True) as page:
        panel = open_tab(page, town.ui, "runs", run=live)
        graph, progress = panel.locator(".ll-graph"), panel.locator("#run-progress")
        assert graph.evaluate("it => it.scrollWidth > it.clientWidth")
        assert graph.locator(".ll-chosen").evaluate(IN_VIEW)
        graph.evaluate("it => it.scrollLeft = 7")
        expect(progress).not_to_have_text(progress.inner_text())
        assert graph.evaluate("it => it.scrollLeft") == 7
