"""A training that a person starts in the browser, on the real LLaMA-Factory: from the form to the
registered version, with curves that move while it trains."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from llmops.registry.store import Registry
from tests.browser.conftest import browser, context, page, playwright, seen  # noqa: F401
from tests.browser.pages import open_tab, shown
from tests.browser.street import Street, faces

pytestmark = pytest.mark.engine
STEPS = 30
SECONDS = 300_000
"""Milliseconds for the engine to start, train so few steps, and be registered."""


@pytest.fixture(scope="module")
def town(base_project: Path) -> Iterator[Street]:
    """A project that has nothing but its base model, and its faces."""
    with faces(base_project) as found:
        yield found


def test_a_training_is_started_from_the_form_and_watched_to_its_end(
    town: Street,
    page: Page,  # noqa: F811
) -> None:
    number = len(Registry(town.paths).versions("town-base")) + 1
    panel = open_tab(page, town.ui, "train", file="recipes/cpt.yaml")
    for key, value in (("max_steps", STEPS), ("logging_steps", 2), ("warmup_steps", 0)):
        panel.locator(f"#f-args-{key}").fill(str(value))
        panel.locator(f"#f-args-{key}").press("Tab")
        expect(panel.locator("#train-yaml .cm-content")).to_contain_text(f"{key}: {value}")
    panel.get_by_role("button", name="Plan", exact=True).click()
    expect(panel.locator("#train-plan")).to_contain_text(f"{STEPS} steps")
    panel.locator("#train-start").click()
    panel = shown(page, "runs")
    run = panel.locator("#run-id").inner_text()
    begun = re.compile(rf"step [1-9]\d* of {STEPS}")
    expect(panel.locator("#run-progress")).to_have_text(begun, timeout=SECONDS)
    first = panel.locator("#run-progress").inner_text()
    expect(panel.locator("#run-progress")).not_to_have_text(first, timeout=SECONDS)
    expect(panel.locator(".ll-curves svg").first).to_be_visible()
    expect(panel.get_by_text(f"town-base:v{number}")).to_be_visible(timeout=SECONDS)
    assert town.api("GET", f"/runs/{run}")["state"] == "done"
    made = Registry(town.paths).versions("town-base")[-1]
    assert (made.number, made.lineage.run) == (number, run)
