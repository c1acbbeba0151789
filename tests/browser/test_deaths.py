"""What goes on when a part is killed: a run belongs to no request, no page and no server."""

import signal
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from llmops.runner.record import read_run
from tests.browser.pages import open_tab, shown
from tests.browser.street import Street, street
from tests.waiting import until

pytestmark = pytest.mark.slow
VISITS = ["visits=1500", "seed=9"]


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Street]:
    """A street of their own: others would miss what is killed here."""
    with street(tmp_path_factory.mktemp("mortal") / "town", hostile=False) as found:
        # What the visits set off would have the device before the next run that is asked for.
        for schedule in found.api("GET", "/schedules")["items"]:
            found.api("POST", f"/schedules/{schedule['id']}/pause", json={"why": "tests"})
        yield found


def started(town: Street, *overrides: str) -> str:
    """A run that control started, some seconds long, once it is running."""
    body = {"target": "recipes/simulate.yaml", "overrides": [*VISITS, *overrides]}
    run = str(town.api("POST", "/runs", json=body)["id"])
    until(lambda: town.api("GET", f"/runs/{run}")["state"] == "running", 60)
    return run


def ended(town: Street, run: str) -> str:
    def state() -> str:
        found = str(town.api("GET", f"/runs/{run}")["state"])
        return "" if found in ("queued", "starting", "running") else found

    return until(state, 120)


def test_a_run_outlives_the_page_and_the_ui(town: Street, page: Page) -> None:
    run = started(town)
    open_tab(page, town.ui, "runs", run=run)
    town.stop("ui", signal.SIGKILL)
    assert ended(town, run) == "done"
    town.restart("ui")
    expect(open_tab(page, town.ui, "runs", run=run)).to_contain_text("done")


def test_a_run_outlives_control_and_is_found_again(town: Street) -> None:
    run = started(town, "seed=10")
    town.stop("control", signal.SIGKILL)
    until(lambda: (found := read_run(town.paths.run(run))) and found.state == "done", 120)
    town.restart("control")
    assert ended(town, run) == "done"
    until(lambda: town.api("GET", f"/runs/{run}")["job"]["state"] == "done", 30)
    assert town.api("GET", f"/runs/{run}")["job"]["tries"] == 1


def test_a_page_says_that_control_is_away_and_goes_on_when_it_is_back(
    town: Street, page: Page
) -> None:
    open_tab(page, town.ui, "home")
    town.stop("control", signal.SIGKILL)
    expect(page.get_by_role("alert").first).to_contain_text("control does not answer")
    town.restart("control")
    expect(page.get_by_role("alert")).to_have_count(0)
    shown(page, "home")
