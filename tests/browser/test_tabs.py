"""Every tab as it is opened, in a real browser before real processes: nothing wrong in its console,
nothing asked of anybody but this machine, found again by its address, at every width."""

from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import NARROW, Seen, window
from tests.browser.pages import NAMES, TITLES, address, click_tab, open_tab, shown, trouble
from tests.browser.street import Street

pytestmark = pytest.mark.slow
OUTSIDE = """() => {
  const scrolls = (it) => it && (/auto|scroll/.test(getComputedStyle(it).overflowX)
    && it !== document.documentElement && it !== document.body || scrolls(it.parentElement));
  const out = [...document.querySelectorAll('main *')].filter((it) => it.checkVisibility()
    && it.getBoundingClientRect().right > document.documentElement.clientWidth + 1
    && it.getBoundingClientRect().width > 1 && !scrolls(it.parentElement));
  return out.map((it) => `${it.tagName} ${it.id} ${it.className}`).slice(0, 5);
}"""
WIDTH = "document.documentElement.scrollWidth"


@pytest.mark.parametrize("tab", NAMES)
def test_a_tab_loads_clean_with_something_to_show(
    town: Street, page: Page, seen: Seen, tab: str
) -> None:
    assert len(open_tab(page, town.ui, tab).inner_text()) > 80
    assert trouble(page) == []
    assert (seen.errors, seen.failed, seen.abroad) == ([], [], [])


def test_every_tab_can_be_reached_from_every_other(town: Street, page: Page, seen: Seen) -> None:
    open_tab(page, town.ui, NAMES[0])
    for tab in [*NAMES, *reversed(NAMES)]:
        click_tab(page, tab)
        assert f"tab={tab}" in page.url
    assert (seen.errors, seen.failed, seen.abroad) == ([], [], [])


def test_back_and_forward_go_through_the_tabs(town: Street, page: Page) -> None:
    open_tab(page, town.ui, "home")
    click_tab(page, "models")
    click_tab(page, "runs")
    page.go_back()
    shown(page, "models")
    page.go_forward()
    shown(page, "runs")


def test_an_address_that_names_no_tab_leads_home(town: Street, page: Page) -> None:
    page.goto(f"{town.ui}/?tab=nothing")
    shown(page, "home")


DEEPER = [
    ("models", {"model": "town"}),
    ("models", {"model": "town", "version": "3"}),
    ("models", {"model": "town", "version": "4", "to": "production"}),
    ("experiments", {"experiment": "town"}),
    ("schedules", {"schedule": "town/weekly"}),
    ("feedback", {"view": "answers"}),
    ("train", {"file": "pipelines/town.yaml"}),
    ("chat", {"mode": "blind"}),
]


@pytest.fixture(scope="module")
def phone(browser: Browser) -> Iterator[Page]:
    with window(browser, viewport=NARROW, has_touch=True, is_mobile=True) as page:
        yield page


@pytest.mark.parametrize(("tab", "query"), [*((name, {}) for name in NAMES), *DEEPER])
def test_nothing_stands_out_sideways_on_a_phone(
    town: Street, phone: Page, tab: str, query: dict[str, str]
) -> None:
    open_tab(phone, town.ui, tab, **query)
    assert phone.evaluate(OUTSIDE) == []  # what is cut off cannot be scrolled to either
    assert phone.evaluate(WIDTH) == NARROW["width"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_page_is_as_dark_as_the_system(town: Street, browser: Browser, scheme: str) -> None:
    with window(browser, color_scheme=scheme) as page:
        open_tab(page, town.ui, "home")
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        light = sum(int(part) for part in colour.strip("rgba()").split(",")[:3]) > 3 * 128
        assert light == (scheme == "light")


def test_a_keyboard_is_enough_to_go_through_the_tabs(town: Street, page: Page) -> None:
    open_tab(page, town.ui, "home")
    for tab in NAMES[1:]:
        button = page.get_by_role("tab", name=TITLES[tab], exact=True)
        for _ in range(60):
            page.keyboard.press("Tab")
            if button.evaluate("it => it === document.activeElement"):
                break
        expect(button).to_be_focused()
        page.keyboard.press("Enter")
        shown(page, tab)


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/file=/etc/passwd",
        "/gradio_api/file=llmops.toml",
        "/gradio_api/file=.llmops/secret",
        "/gradio_api/file=../../../../etc/passwd",
        "/gradio_api/file%3D/etc/passwd",
        "/file=/etc/passwd",
        "/gradio_api/file=http://127.0.0.1:1/",
        "/gradio_api/proxy=http://127.0.0.1:1/",
        "/static/../../../../../../etc/passwd",
        "/static/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "/assets/..%2f..%2f..%2fetc%2fpasswd",
        "/custom_component/x/y/../../../../etc/passwd",
        "/gradio_api/stream/a/b/../../etc/passwd",
    ],
)
def test_no_file_of_the_machine_is_served(town: Street, path: str) -> None:
    """Of the project neither: pages are made of what the API says, never of files."""
    request = httpx.Request("GET", town.ui)
    url = request.url.copy_with(raw_path=path.encode())
    with httpx.Client(trust_env=False) as client:
        answer = client.send(httpx.Request("GET", url))
    assert answer.status_code >= 300
    assert "root:" not in answer.text
    assert "Settings of this llmops project" not in answer.text


def test_nothing_can_be_uploaded(town: Street) -> None:
    with httpx.Client(trust_env=False, base_url=town.ui) as client:
        answer = client.post(
            "/gradio_api/upload", files={"files": ("a.html", b"<script>1</script>")}
        )
    assert answer.status_code >= 400 or "a.html" not in answer.text


def test_a_page_of_somebody_else_can_press_no_button(town: Street) -> None:
    with httpx.Client(trust_env=False, base_url=town.ui) as client:
        answer = client.post(
            "/gradio_api/queue/join", headers={"Origin": "http://evil.invalid"}, json={}
        )
    assert answer.status_code == 403


def test_an_address_can_be_sent_to_somebody(town: Street, browser: Browser, page: Page) -> None:
    open_tab(page, town.ui, "runs")
    run = town.api("GET", "/runs")["items"][-1]["id"]
    with window(browser) as other:
        other.goto(address(town.ui, "runs", run=run))
        expect(shown(other, "runs")).to_contain_text(run)
