"""Blind votes of a person in the browser, on answers of the real vLLM, until they are pairs in a
snapshot that a round can train on."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from llmops.preferences.snapshot import find_snapshot
from llmops.serving.supervisor import Supervisor
from tests.browser.conftest import browser, context, page, playwright, seen  # noqa: F401
from tests.browser.pages import ask, open_tab
from tests.browser.street import Street, faces

pytestmark = pytest.mark.engine
TOWNS = ("Abbern", "Hathden", "Carsmouth", "Nowhere", "Oxwick", "Elmford")


@pytest.fixture(scope="module")
def town(town_project: Path, town_server: Supervisor) -> Iterator[Street]:
    """The served town, and its faces."""
    with faces(town_project, gateway=town_server.endpoint.url) as found:
        yield found


def test_blind_votes_on_real_answers_become_pairs(
    town: Street,
    page: Page,  # noqa: F811
) -> None:
    panel = open_tab(page, town.ui, "chat", mode="blind")
    asked = [f"Which river flows past {name}?" for name in TOWNS]
    for question in asked:
        turn = ask(panel, question)
        assert "town:v" not in turn.inner_text()
        turn.get_by_role("button", name="A is better").click()
        expect(turn.locator(".ll-whose")).to_have_count(2)
        told = " ".join(turn.locator(".ll-whose").all_inner_texts())
        assert "town:v1" in told
        assert "town:v2" in told
    few = ("holdout=0", "min_pairs=1", "output.preferences=voted")
    town.llmops("run", "recipes/preferences.yaml", *few)
    made = find_snapshot("voted", town.paths).train.read_text("utf-8")
    # Two answers that are equal teach nothing, and are no pair.
    assert [question for question in asked if question in made]
