"""A blind vote in a browser, all the way: through the gateway into the journal, from there into the
log, and out of it as a pair that a preference recipe makes. The model is none (townsfolk.py)."""

import secrets

import pytest
from playwright.sync_api import Locator, Page, expect

from llmops.preferences.snapshot import find_snapshot
from tests.browser.pages import ask, open_tab
from tests.browser.street import Street

pytestmark = pytest.mark.slow


def compare(panel: Locator, choice: str) -> str:
    """Ask something that nobody asked before, side by side; vote. Returns the question."""
    question = f"Which river is it, traveller {secrets.token_hex(4)}?"
    turn = ask(panel, question)
    turn.get_by_role("button", name=choice).click()
    expect(turn).to_contain_text("Your vote is kept")
    return question


def test_a_blind_vote_becomes_a_pair_that_trains(town: Street, page: Page) -> None:
    panel = open_tab(page, town.ui, "chat", mode="blind")
    asked = [compare(panel, "A is better") for _ in range(5)]
    town.llmops("run", "recipes/preferences.yaml", "holdout=0")
    made = find_snapshot("town", town.paths).train.read_text("utf-8")
    # Of five pairs at least one has two different answers; equal ones teach nothing.
    assert any(question in made for question in asked)
