"""The UI on an address that others reach: a key opens it, and nothing more than its scopes hold."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.pages import address, confirm, open_tab, shown
from tests.browser.street import Street
from tests.fast.protocol_server import closed_port

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def guarded(town: Street) -> Iterator[str]:
    """The URL of a UI besides the street's."""
    port = closed_port()
    where = ["--control", town.control, "--host", "0.0.0.0", "--port", port]
    town.start("guarded", "-m", "llmops", "ui", *where)
    url = f"http://127.0.0.1:{port}"
    town.await_url("guarded", url, "/healthz")
    yield url
    town.stop("guarded")


def log_in(page: Page, key: str) -> None:
    page.get_by_label("API key").fill(key)
    page.get_by_role("button", name="Log in").click()


def test_a_key_opens_the_page_that_was_asked_for(town: Street, guarded: str, page: Page) -> None:
    key = town.llmops("keys", "create", "reader", "--scope", "read").split()[0]
    page.goto(address(guarded, "schedules"))
    log_in(page, "llmops_wrong")
    expect(page.get_by_role("alert")).to_contain_text("the API key is not known")
    log_in(page, key)
    panel = shown(page, "schedules")
    panel.get_by_role("button", name="Halt everything").click()
    confirm(page, "Halt everything", why="to try")
    expect(page.get_by_role("alert")).to_contain_text("has no scope `run`")
    assert town.api("GET", "/schedules")["halted"] is None


def test_a_revoked_key_shows_nothing_more(town: Street, guarded: str, page: Page) -> None:
    key = town.llmops("keys", "create", "gone", "--scope", "read").split()[0]
    page.goto(address(guarded, "home"))
    log_in(page, key)
    shown(page, "home")
    town.llmops("keys", "revoke", "gone")
    town.llmops("keys", "create", "gone", "--scope", "read")  # its successor heals nothing
    expect(page.get_by_role("alert")).to_contain_text("was revoked")
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_label("API key")).to_be_visible()
    page.go_back()
    expect(page.get_by_label("API key")).to_be_visible()


def test_who_is_not_logged_in_is_told(town: Street, guarded: str, page: Page) -> None:
    """A page that stands open while its session ends: somebody logged out in another tab."""
    key = town.llmops("keys", "create", "twice", "--scope", "read").split()[0]
    page.goto(address(guarded, "home"))
    log_in(page, key)
    shown(page, "home")
    page.context.clear_cookies()
    expect(page.get_by_label("API key")).to_be_visible()
    log_in(page, key)
    open_tab(page, guarded, "home")
