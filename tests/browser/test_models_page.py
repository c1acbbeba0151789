"""The Models tab as it is used: a promotion on evidence, one that is refused, one step back."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.pages import confirm, open_tab, shown
from tests.browser.street import Street

pytestmark = pytest.mark.slow


def last_move(town: Street) -> dict[str, str]:
    moves: list[dict[str, str]] = town.api("GET", "/models/town/history")["items"]
    return max(moves, key=lambda move: move["time"])


def test_a_version_is_promoted_on_its_evidence(town: Street, page: Page) -> None:
    open_tab(page, town.ui, "models", model="town", version="3", to="trusted")
    page.get_by_role("button", name="Promote to trusted").click()
    confirm(page, "Promote to trusted")
    expect(page.locator("#models-said")).to_contain_text("town@trusted is town:v3")
    move = last_move(town)
    assert (move["alias"], move["version"]) == ("trusted", "town:v3")
    assert "evidence:town:v3" in move["why"]


def test_another_alias_is_asked_for(town: Street, page: Page) -> None:
    open_tab(page, town.ui, "models", model="town", version="2")
    page.get_by_role("button", name="Another alias…").click()
    confirm(page, "Another alias…", why="stable")
    expect(page.get_by_role("button", name="Promote to stable")).to_be_visible()
    assert "to=stable" in page.url


def test_without_evidence_there_is_only_an_override_with_its_reason(
    town: Street, page: Page
) -> None:
    open_tab(page, town.ui, "models", model="town", version="4", to="risky")
    expect(page.get_by_role("button", name="Promote to risky")).to_have_count(0)
    page.get_by_role("button", name="Promote without this evidence…").click()
    confirm(page, "Promote without this evidence…", why="a demonstration")
    expect(page.locator("#models-said")).to_contain_text("town@risky is town:v4")
    assert "a demonstration" in last_move(town)["why"]


def test_cancelling_moves_nothing(town: Street, page: Page) -> None:
    before = town.api("GET", "/models/town")["aliases"]
    open_tab(page, town.ui, "models", model="town", version="3", to="unmoved")
    page.get_by_role("button", name="Promote to unmoved").click()
    confirm(page, "Cancel")
    assert town.api("GET", "/models/town")["aliases"] == before


def test_an_alias_goes_one_step_back(town: Street, page: Page) -> None:
    for version in ("town:v2", "town:v3"):
        body = {"version": version, "alias": "tried", "override": True, "why": "to go back from"}
        town.api("POST", "/models/town/promote", json=body)
    open_tab(page, town.ui, "models", model="town")
    page.get_by_role("button", name="Roll back tried to town:v2").click()
    confirm(page, "Roll back…", why="it stammers")
    expect(page.locator("#models-said")).to_contain_text("town@tried is town:v2")
    assert "it stammers" in last_move(town)["why"]


def test_a_version_tells_where_it_comes_from(town: Street, page: Page) -> None:
    panel = open_tab(page, town.ui, "models", model="town", version="3")
    expect(panel).to_contain_text("town:v1")
    expect(panel).to_contain_text("recipes/dpo.yaml")
    panel.get_by_role("link", name="town:v1").first.click()
    shown(page, "models")
    assert "version=1" in page.url
