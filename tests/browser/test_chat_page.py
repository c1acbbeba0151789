"""The Chat tab as it is used, through the real gateway: each vote is an event in the log, and a
pair that a preference recipe makes of it. The model is none (townsfolk.py)."""

import re
import secrets

import pytest
from playwright.sync_api import Locator, Page, expect

from llmops.preferences.snapshot import find_snapshot
from tests.browser.pages import open_tab
from tests.browser.street import Street
from tests.waiting import until

pytestmark = pytest.mark.slow


def ask(panel: Locator, question: str, seen_as: str | None = None) -> Locator:
    """Its last turn, once the answer is whole. seen_as: the question as it is shown."""
    box = panel.locator("#chat-box textarea")
    box.fill(question)
    send(box)
    turn = panel.locator("#chat-now article").filter(has_text=seen_as or question)
    expect(turn).to_be_visible()
    expect(panel.locator("#chat-now [aria-busy=true]")).to_have_count(0)
    return turn


def send(box: Locator) -> None:
    """Enter, again if the last answer was just about to end."""
    for _ in range(10):
        box.press("Enter")
        try:
            expect(box).to_have_value("", timeout=2000)
            return
        except AssertionError:
            continue


def compare(panel: Locator, choice: str) -> str:
    """Ask something that nobody asked before, side by side; vote. Returns the question."""
    question = f"Which river is it, traveller {secrets.token_hex(4)}?"
    turn = ask(panel, question)
    turn.get_by_role("button", name=choice).click()
    expect(turn).to_contain_text("Your vote is kept")
    return question


def test_an_answer_is_streamed_and_rated(town: Street, page: Page) -> None:
    panel = open_tab(page, town.ui, "chat")
    turn = ask(panel, "Which river flows past Abbern?")
    expect(turn).to_contain_text("Morrow")
    thumb = turn.get_by_role("button", name="Good answer")
    thumb.click()
    expect(thumb).to_have_attribute("aria-pressed", "true")


def test_a_blind_pair_tells_nothing_before_the_vote(town: Street, page: Page) -> None:
    panel = open_tab(page, town.ui, "chat", mode="blind")
    turn = ask(panel, f"Which river, visitor {secrets.token_hex(4)}?")
    assert "town:v" not in turn.inner_html()
    assert "control" not in turn.inner_html()
    turn.get_by_role("button", name="Tie").click()
    expect(turn.locator(".ll-whose")).to_have_count(2)
    assert {"town:v2", "town:v3"} == set(turn.locator(".ll-whose a").all_inner_texts())


def test_a_blind_vote_becomes_a_pair_that_trains(town: Street, page: Page) -> None:
    panel = open_tab(page, town.ui, "chat", mode="blind")
    asked = [compare(panel, "A is better") for _ in range(5)]
    until(lambda: town.api("GET", "/feedback", params={"kind": "choice"})["items"])
    town.llmops("run", "recipes/preferences.yaml", "holdout=0")
    made = find_snapshot("town", town.paths).train.read_text("utf-8")
    # Of five pairs at least one has two different answers; equal ones teach nothing.
    assert any(question in made for question in asked)


def test_an_edit_is_kept_and_the_conversation_goes_on_with_it(town: Street, page: Page) -> None:
    panel = open_tab(page, town.ui, "chat")
    turn = ask(panel, "Which tree stands in the square at Abbern?")
    turn.get_by_role("button", name="Edit the answer").click()
    panel.get_by_label("What the answer should have been").fill("The elm, since 1704.")
    panel.get_by_role("button", name="Save").click()
    expect(panel.locator("#chat-now")).to_contain_text("Your edit")
    expect(panel.locator("#chat-now")).to_contain_text("The elm, since 1704.")


def test_a_conversation_is_found_again(town: Street, page: Page) -> None:
    panel = open_tab(page, town.ui, "chat")
    ask(panel, "What is Dunmere known for?")
    expect(page).to_have_url(re.compile("chat="))
    page.reload()
    expect(page.locator("#chat-now")).to_contain_text("Dunmere")


def test_an_answer_that_is_being_written_can_be_stopped(town: Street, page: Page) -> None:
    panel = open_tab(page, town.ui, "chat")
    box = panel.locator("#chat-box textarea")
    box.fill("slow words please")
    box.press("Enter")
    panel.get_by_role("button", name="Stop").click()
    expect(panel.locator("#chat-now")).to_contain_text("Stopped.")


@pytest.mark.parametrize("question", ["fail now", "refuse this"])
def test_an_answer_that_breaks_off_is_told(town: Street, page: Page, question: str) -> None:
    panel = open_tab(page, town.ui, "chat")
    turn = ask(panel, question)
    expect(turn.get_by_role("alert")).to_be_visible()
    expect(turn.get_by_role("button", name="Answer again")).to_be_visible()
