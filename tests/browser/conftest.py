"""A browser in front of the street: Debian's Chromium, driven by Playwright. Skipped, with the
reason, where there is none."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Playwright,
    Request,
    Response,
    expect,
    sync_playwright,
)

from tests.browser.street import Street, street

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ARGS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking"]
LOOPBACK = {"127.0.0.1", "localhost"}
WIDE = {"width": 1280, "height": 900}
WAIT_MS = 20_000
NARROW = {"width": 390, "height": 844}


@dataclass
class Seen:
    """What a page did besides being shown. errors: of its console and its scripts; abroad: the
    addresses it asked for that are not on this machine; failed: of its own that did not come."""

    errors: list[str] = field(default_factory=list)
    abroad: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def watch(self, page: Page) -> None:
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", self._request)
        page.on("response", self._response)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.errors.append(f"{message.text} ({message.location.get('url')})")

    def _response(self, answer: Response) -> None:
        if answer.status >= 400:
            self.failed.append(f"{answer.status} {answer.url}")

    def _request(self, request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme in ("http", "https", "ws", "wss") and address.hostname not in LOOPBACK:
            self.abroad.append(request.url)


@pytest.fixture(scope="session")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Street]:
    """All that stands in front of a used project; tests change it, each in a place of its own."""
    with street(tmp_path_factory.mktemp("street") / "town") as found:
        yield found


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    """For a module only: while it lives, asyncio runs nothing else in this thread."""
    if CHROMIUM is None:
        pytest.skip("there is no chromium here: tests/system.sh installs it where apt-get may")
    expect.set_options(timeout=WAIT_MS)
    with sync_playwright() as found:
        yield found


@pytest.fixture(scope="module")
def browser(playwright: Playwright) -> Iterator[Browser]:
    found = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGS)
    yield found
    found.close()


@contextmanager
def window(browser: Browser, **options: Any) -> Iterator[Page]:
    """A page in a window of its own, without cookies, storage or cache of others."""
    found = browser.new_context(**{"viewport": WIDE, "color_scheme": "light"} | options)
    found.set_default_timeout(WAIT_MS)
    try:
        yield found.new_page()
    finally:
        found.close()


@pytest.fixture(scope="module")
def context(browser: Browser) -> Iterator[BrowserContext]:
    """One for the pages of a module, whose cache has Gradio's scripts: the second page loads in
    half of the time."""
    with window(browser) as first:
        yield first.context


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
def page(context: BrowserContext, seen: Seen) -> Iterator[Page]:
    """Watched: `seen` says what it did. Without cookies of others, but in their cache."""
    found = context.new_page()
    seen.watch(found)
    yield found
    found.close()
    context.clear_cookies()


@pytest.fixture(scope="session")
def shots(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where screenshots go: docs/ui/ when LLMOPS_SCREENSHOTS is set to it, else a place that is
    forgotten."""
    given = os.environ.get("LLMOPS_SCREENSHOTS")
    folder = Path(given) if given else tmp_path_factory.mktemp("shots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder
