"""What models and users write does nothing in any page: it runs no script, loads no image, makes no
link, and changes nothing around it. It is shown as what it is: text. (Of answers and questions
test_chat.py says so, of the log test_feedback.py.)"""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Seen
from tests.browser.hostile import FILE, HOST, HOSTILE, NAME
from tests.browser.pages import NAMES, address, click_tab, open_tab
from tests.browser.street import Street
from tests.browser.test_runs_page import run_of

pytestmark = pytest.mark.slow
SETTLED = """() => document.querySelector('[role=tab][aria-selected=true]') &&
  (![...document.querySelectorAll('.ll-loading')].some(it => it.offsetParent)
    || document.querySelector('[role=alert]'))"""
LIVE = (
    "[onerror], [onload], [onfocus], [href^='java'], [data-act=halt][data-value], iframe, "
    + ", ".join(
        f"[{name}^='{start}{HOST}']" for name in ("src", "href") for start in ("http://", "//")
    )
)


def inert(page: Page, seen: Seen) -> None:
    """Nothing of it did anything."""
    assert page.evaluate("window.owned") is None
    assert page.locator(LIVE).count() == 0
    assert seen.abroad == []
    expect(page.locator("body")).to_be_visible()
    expect(page.get_by_role("heading", name="You are logged out")).to_have_count(0)


def test_the_error_of_a_run_is_text(town: Street, page: Page, seen: Seen) -> None:
    panel = open_tab(page, town.ui, "runs", run=run_of(town, "pipelines/town.yaml", "failed"))
    expect(panel.locator("#run-stage")).to_contain_text(HOSTILE[0])
    inert(page, seen)


def test_the_reason_of_a_move_is_text(town: Street, page: Page, seen: Seen) -> None:
    panel = open_tab(page, town.ui, "models", model="town")
    expect(panel).to_contain_text("rollback from town:v3: <img")
    inert(page, seen)


def test_the_name_of_a_model_is_text(town: Street, page: Page, seen: Seen) -> None:
    expect(open_tab(page, town.ui, "models")).to_contain_text(NAME)
    inert(page, seen)


def test_a_recipe_and_its_name_and_its_mistakes_are_text(
    town: Street, page: Page, seen: Seen
) -> None:
    panel = open_tab(page, town.ui, "train", file=f"recipes/{FILE}")
    expect(panel.locator("#train-yaml .cm-content")).to_contain_text(HOSTILE[1])
    expect(panel.locator("#train-problems")).to_contain_text("javascript:window.owned")
    panel.get_by_label("Recipe or pipeline").click()
    expect(page.get_by_role("option", name=FILE)).to_be_visible()
    inert(page, seen)


def test_the_reasons_of_people_are_text(town: Street, page: Page, seen: Seen) -> None:
    town.api("POST", "/schedules/town/webhook/pause", json={"why": HOSTILE[2]})
    expect(open_tab(page, town.ui, "schedules")).to_contain_text(HOSTILE[2])
    inert(page, seen)
    town.api("POST", "/schedules/town/webhook/resume")


def test_every_tab_beside_all_of_it_is_as_it_should_be(
    town: Street, page: Page, seen: Seen
) -> None:
    open_tab(page, town.ui, NAMES[0])
    for tab in NAMES:
        click_tab(page, tab)
        inert(page, seen)


@pytest.mark.parametrize(
    ("tab", "key"),
    [
        ("runs", "run"),
        ("runs", "pick"),
        ("runs", "state"),
        ("models", "model"),
        ("chat", "chat"),
        ("feedback", "id"),
        ("experiments", "experiment"),
        ("schedules", "schedule"),
        ("train", "file"),
    ],
)
def test_an_address_is_text(town: Street, page: Page, seen: Seen, tab: str, key: str) -> None:
    """A link that somebody was sent is untrusted too."""
    page.goto(address(town.ui, tab, **{key: HOSTILE[1]}))
    page.wait_for_function(SETTLED)
    inert(page, seen)
