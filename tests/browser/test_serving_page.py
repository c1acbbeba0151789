"""What is served, in the Models tab, as it is used: a deployment is started and stopped."""

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.pages import confirm, open_tab
from tests.browser.street import Street
from tests.waiting import until

pytestmark = pytest.mark.slow


def deployment(town: Street, name: str) -> dict[str, Any]:
    found: dict[str, Any] = town.api("GET", f"/deployments/{name}")
    return found


def test_a_deployment_is_served_and_stopped(town: Street, page: Page) -> None:
    panel = open_tab(page, town.ui, "models")
    panel.get_by_role("button", name="Serve legacy…").click()
    confirm(page, "Serve…")
    expect(page.locator("#models-said")).to_contain_text("legacy is on its way")
    until(lambda: deployment(town, "legacy")["status"] == "ready", 60)
    panel.get_by_role("button", name="Stop legacy…").click()
    confirm(page, "Stop…")
    expect(page.locator("#models-said")).to_contain_text("legacy ends what it is answering")
    until(lambda: not deployment(town, "legacy")["running"], 60)
    expect(panel.get_by_role("button", name="Serve legacy…")).to_be_visible()
