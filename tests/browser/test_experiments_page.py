"""The Experiments tab as it is used: what control says of an experiment is what the page shows."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.pages import open_tab, shown
from tests.browser.street import Street

pytestmark = pytest.mark.slow


def test_an_experiment_shows_what_control_knows(town: Street, page: Page) -> None:
    (found,) = town.api("GET", "/experiments")["items"]
    panel = open_tab(page, town.ui, "experiments")
    for side in found["variants"]:
        expect(panel).to_contain_text(f"{side['mean']:.3f}")
    low, high = found["interval"]
    expect(panel).to_contain_text(f"[{low:+.3f}, {high:+.3f}]")
    expect(panel.locator(".ll-interval-bar")).to_have_count(3)


def test_its_versions_lead_to_the_models(town: Street, page: Page) -> None:
    panel = open_tab(page, town.ui, "experiments", experiment="town")
    panel.get_by_role("link", name="town:v3").first.click()
    shown(page, "models")
    assert "version=3" in page.url


def test_an_experiment_that_is_not_there_is_said(town: Street, page: Page) -> None:
    panel = open_tab(page, town.ui, "experiments", experiment="gone")
    expect(panel).to_contain_text("No deployment gone declares an experiment.")
    panel.get_by_role("link", name="town").click()
    expect(panel.locator(".ll-interval-bar")).to_have_count(3)
