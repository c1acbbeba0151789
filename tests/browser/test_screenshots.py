"""Every tab as it looks in a project that is used, for docs/ui.md.

    LLMOPS_SCREENSHOTS=docs/ui pytest tests/browser/test_screenshots.py

writes them there; without the variable they go to a place that is forgotten, and what is tested is
that each page comes to be what it shows.
"""

import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import NARROW, window
from tests.browser.pages import ask, open_tab
from tests.browser.street import Street, street
from tests.waiting import until

pytestmark = pytest.mark.slow
TALLEST = 1500
BYTES = 2_000_000
QUESTIONS = (
    "What is Dunmere known for?",
    "I am going to Cobley. Can you tell me which river is there?",
)


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Street]:
    """A project of their own, in which nobody says anything hostile and no test has been."""
    with street(tmp_path_factory.mktemp("tidy") / "town", hostile=False) as found:
        if os.environ.get("LLMOPS_SCREENSHOTS"):  # worth waiting for the next count of pairs
            until(lambda: any(map(_pairs, found.api("GET", "/schedules")["items"])), 180)
        yield found


def _pairs(schedule: dict[str, Any]) -> int:
    return int((schedule["pairs"] or {}).get("have") or 0)


@pytest.fixture(scope="module")
def live(town: Street) -> Iterator[str]:
    yield town.start_live()
    town.stop("live")


def keep(page: Page, folder: Path, name: str, tallest: int = TALLEST) -> None:
    """The page, as far as it is not too long, in few colours."""
    page.mouse.move(0, 0)
    page.evaluate("document.activeElement?.blur()")
    page.wait_for_timeout(400)  # transitions end
    data = page.screenshot(full_page=True, animations="disabled", caret="hide")
    (folder / f"{name}.png").write_bytes(_small(data, tallest))


def _small(data: bytes, tallest: int) -> bytes:
    """A quarter of the size, where Pillow is there to see to it."""
    try:
        from PIL import Image
    except ImportError:
        return data
    found = Image.open(io.BytesIO(data)).convert("RGB")
    found = found.crop((0, 0, found.width, min(found.height, tallest)))
    out = io.BytesIO()
    found.quantize(256, dither=Image.Dither.NONE).save(out, "PNG", optimize=True)
    return out.getvalue()


def test_home(town: Street, page: Page, live: str, shots: Path) -> None:
    open_tab(page, town.ui, "home")
    keep(page, shots, "home")


def test_home_in_the_dark(town: Street, browser: Browser, live: str, shots: Path) -> None:
    with window(browser, color_scheme="dark") as page:
        open_tab(page, town.ui, "home")
        keep(page, shots, "home-dark")


def test_train(town: Street, page: Page, shots: Path) -> None:
    panel = open_tab(page, town.ui, "train", file="recipes/round.yaml")
    panel.get_by_role("button", name="Plan", exact=True).click()
    expect(panel.locator("#train-start")).to_be_visible()
    keep(page, shots, "train")


def test_runs(town: Street, page: Page, live: str, shots: Path) -> None:
    open_tab(page, town.ui, "runs")
    keep(page, shots, "runs")


def test_a_run(town: Street, page: Page, live: str, shots: Path) -> None:
    panel = open_tab(page, town.ui, "runs", run=live)
    expect(panel.locator("#run-progress")).to_contain_text("of 3,000")
    keep(page, shots, "run")


def test_a_run_on_a_phone(town: Street, browser: Browser, live: str, shots: Path) -> None:
    with window(browser, viewport=NARROW, color_scheme="dark", device_scale_factor=2) as page:
        panel = open_tab(page, town.ui, "runs", run=live)
        expect(panel.locator("#run-progress")).to_contain_text("of 3,000")
        keep(page, shots, "run-phone", 2 * NARROW["height"])


def test_a_chat(town: Street, page: Page, shots: Path) -> None:
    panel = open_tab(page, town.ui, "chat")
    for question in QUESTIONS:
        turn = ask(panel, question)
    turn.get_by_role("button", name="Good answer").click()
    expect(turn.get_by_role("button", name="Good answer")).to_have_attribute("aria-pressed", "true")
    keep(page, shots, "chat")


def test_a_blind_vote(town: Street, page: Page, shots: Path) -> None:
    for _ in range(12):
        panel = open_tab(page, town.ui, "chat", mode="blind")
        turn = ask(panel, QUESTIONS[0])
        first, second = map(len, turn.locator(".ll-side .ll-words").all_inner_texts())
        if abs(first - second) > 40:
            break
    turn.get_by_role("button", name=f"{'AB'[second < first]} is better").click()
    expect(turn.locator(".ll-whose")).to_have_count(2)
    ask(panel, QUESTIONS[1])
    keep(page, shots, "chat-blind")


def test_feedback(town: Street, page: Page, shots: Path) -> None:
    open_tab(page, town.ui, "feedback")
    keep(page, shots, "feedback", 1150)


def test_models(town: Street, page: Page, shots: Path) -> None:
    open_tab(page, town.ui, "models", model="town")
    keep(page, shots, "models")


def test_a_version(town: Street, page: Page, shots: Path) -> None:
    open_tab(page, town.ui, "models", model="town", version="3")
    keep(page, shots, "version")


def test_experiments(town: Street, page: Page, shots: Path) -> None:
    open_tab(page, town.ui, "experiments", experiment="town")
    keep(page, shots, "experiments")


def test_schedules(town: Street, page: Page, shots: Path) -> None:
    open_tab(page, town.ui, "schedules")
    keep(page, shots, "schedules")


def test_they_are_small_enough_for_the_repository(shots: Path) -> None:
    """Together, when all of them were made."""
    assert sum(file.stat().st_size for file in shots.glob("*.png")) < BYTES
