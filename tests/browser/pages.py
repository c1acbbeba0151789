"""The UI as a person finds it: tabs by their titles, what is shown of them, what they say."""

from urllib.parse import urlencode

from playwright.sync_api import Locator, Page, expect

from llmops.ui.app import TABS

NAMES = [name for name, _, _ in TABS]
TITLES = {name: title for name, title, _ in TABS}


def address(url: str, tab: str, **query: str) -> str:
    return f"{url}/?{urlencode({'tab': tab, **query})}"


def open_tab(page: Page, url: str, tab: str, **query: str) -> Locator:
    """Follow a link to a tab; its panel, once what it shows is there."""
    page.goto(address(url, tab, **query))
    return shown(page, tab)


def click_tab(page: Page, tab: str) -> Locator:
    """Switch to it as a person does."""
    page.get_by_role("tab", name=TITLES[tab], exact=True).click()
    return shown(page, tab)


def shown(page: Page, tab: str) -> Locator:
    """The panel of a tab that is selected, without anything that is still to come."""
    button = page.get_by_role("tab", name=TITLES[tab], exact=True)
    expect(button).to_have_attribute("aria-selected", "true")
    panel = page.locator(f"#tab-{tab}")
    expect(panel).to_be_visible()
    expect(panel.locator(".ll-loading:visible")).to_have_count(0)
    return panel


def trouble(page: Page) -> list[str]:
    """What the page says that went wrong."""
    return page.locator("[role=alert]:visible").all_inner_texts()


def confirm(page: Page, label: str, why: str = "") -> None:
    """Answer the dialog that asks before something that is hard to undo. label: of the button that
    led there, or Cancel."""
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    if why:
        dialog.get_by_role("textbox").fill(why)
    dialog.get_by_role("button", name=label.removesuffix("…")).click()
    expect(dialog).to_have_count(0)


def ask(panel: Locator, question: str) -> Locator:
    """Send it in the Chat tab; its turn, once the answer is whole."""
    box = panel.locator("#chat-box textarea")
    box.fill(question)
    for _ in range(10):  # a question that comes as the last answer ends is not taken
        box.press("Enter")
        try:
            expect(box).to_have_value("", timeout=2000)
            break
        except AssertionError:
            continue
    turn = panel.locator("#chat-now article").filter(has_text=question)
    expect(turn).to_be_visible()
    expect(panel.locator("#chat-now [aria-busy=true]")).to_have_count(0)
    return turn
