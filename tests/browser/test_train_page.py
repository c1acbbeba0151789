"""The Train tab as it is used: the form and the text are one, the plan comes before the start,
and a run is started, waits for a person, and goes on. No engine runs here: see tests/engine."""

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.pages import confirm, open_tab, shown
from tests.browser.street import Street
from tests.waiting import until

pytestmark = pytest.mark.slow
ASKED = """\
name: asked
stages:
  release: {promote: "town:v2", to: asked, approval: true}
"""
FIELD = "#f-args-learning_rate"


def text(panel: Locator) -> Locator:
    return panel.locator("#train-yaml .cm-content")


def plan(panel: Locator) -> Locator:
    panel.get_by_role("button", name="Plan", exact=True).click()
    expect(panel.locator("#train-start")).to_be_visible()
    return panel.locator("#train-plan")


def test_a_field_of_the_form_changes_the_text_and_nothing_else(town: Street, page: Page) -> None:
    panel = open_tab(page, town.ui, "train", file="recipes/round.yaml")
    panel.locator(FIELD).fill("2.0e-4")
    panel.locator(FIELD).press("Tab")
    expect(text(panel)).to_contain_text("learning_rate: 2.0e-4")
    expect(text(panel)).to_contain_text("# keeps the chosen answers likely")
    expect(panel.get_by_role("button", name="Revert")).to_be_enabled()


def test_what_was_changed_is_kept_while_another_file_is_open(town: Street, page: Page) -> None:
    panel = open_tab(page, town.ui, "train", file="recipes/cpt.yaml")
    panel.locator(FIELD).fill("7.0e-4")
    panel.locator(FIELD).press("Tab")
    expect(text(panel)).to_contain_text("7.0e-4")
    panel.get_by_label("Recipe or pipeline").click()
    page.get_by_role("option", name="recipes/sft.yaml").click()
    expect(text(panel)).to_contain_text("stage: sft")
    panel.get_by_role("link", name="recipes/cpt.yaml").click()
    expect(text(panel)).to_contain_text("7.0e-4")
    expect(panel).to_contain_text("changed, not saved")


def test_the_text_changes_the_form(town: Street, page: Page) -> None:
    panel = open_tab(page, town.ui, "train", new="recipe")
    text(panel).click()
    page.keyboard.press("Control+A")
    page.keyboard.insert_text((town.root / "recipes" / "round.yaml").read_text("utf-8"))
    expect(panel.locator(FIELD)).to_have_value("0.0005")


def test_an_error_is_told_with_its_place(town: Street, page: Page) -> None:
    panel = open_tab(page, town.ui, "train", new="recipe")
    text(panel).click()
    page.keyboard.press("Control+A")
    page.keyboard.insert_text("kind: train\nstage: dop\n")
    expect(panel.locator("#train-problems")).to_contain_text("dop")


def test_a_plan_shows_what_would_run(town: Street, page: Page) -> None:
    panel = open_tab(page, town.ui, "train", file="recipes/round.yaml")
    shown_ = plan(panel)
    expect(shown_).to_contain_text("dpo lora")
    expect(shown_).to_contain_text("36 steps")


def test_a_part_of_a_pipeline_is_planned_and_started(town: Street, page: Page) -> None:
    panel = open_tab(page, town.ui, "train", file="pipelines/town.yaml")
    plan(panel)
    stages = panel.locator(".ll-plan > li")
    many = stages.count()
    panel.get_by_role("button", name="only up to cpt").click()
    expect(stages).to_have_count(2)
    panel.get_by_role("button", name="make again from cpt").click()
    expect(panel.locator("#train-scope")).to_contain_text("cpt and what comes of it are made again")
    town.api("POST", "/schedules/halt", json={"why": "no engine is to run"})
    panel.locator("#train-start").click()
    panel = shown(page, "runs")
    expect(panel).to_contain_text("halted by")
    run = panel.locator("#run-id").inner_text()
    told = town.api("GET", f"/runs/{run}")
    assert (told["begin"], told["until"]) == ("cpt", "cpt")
    town.api("POST", f"/runs/{run}/stop")
    town.api("POST", "/schedules/unhalt")
    panel = open_tab(page, town.ui, "train", file="pipelines/town.yaml")
    plan(panel)
    expect(stages).to_have_count(many)


def test_a_pipeline_is_started_waits_and_is_agreed_to(town: Street, page: Page) -> None:
    (town.root / "pipelines" / "asked.yaml").write_text(ASKED, encoding="utf-8")
    panel = open_tab(page, town.ui, "train", file="pipelines/asked.yaml")
    plan(panel)
    panel.locator("#train-start").click()
    panel = shown(page, "runs")
    run = panel.locator("#run-id").inner_text()
    approve = panel.get_by_role("button", name="Approve")
    expect(approve).to_be_visible(timeout=60_000)
    approve.click()
    confirm(page, "Approve", why="it reads well")
    until(lambda: town.api("GET", f"/runs/{run}")["state"] == "done", 60)
    assert town.api("GET", "/models/town")["aliases"]["asked"] == "town:v2"


def test_a_declaration_is_saved_only_when_it_loads(town: Street, page: Page) -> None:
    panel = open_tab(page, town.ui, "train", file="recipes/dpo.yaml")
    panel.locator(FIELD).fill("4.0e-4")
    panel.locator(FIELD).press("Tab")
    expect(text(panel)).to_contain_text("4.0e-4")
    panel.get_by_role("button", name="Save").click()
    expect(page.locator("#train-said")).to_contain_text("recipes/dpo.yaml is saved")
    assert "learning_rate: 4.0e-4" in (town.root / "recipes" / "dpo.yaml").read_text("utf-8")
