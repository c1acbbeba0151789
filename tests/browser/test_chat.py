"""The Chat tab as it is used, through the real gateway: streams, ratings, blind votes; and texts
that would do something, if a page took them for more than text."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.conftest import NARROW, Seen, window
from tests.browser.hostile import HOSTILE
from tests.browser.pages import open_tab, trouble
from tests.browser.street import Street
from tests.waiting import until

pytestmark = pytest.mark.slow
GOOD = "Good answer"
QUESTION = "Which river flows past Abbern?"


def ask(page: Page, question: str) -> Locator:
    """Send it as a person does; its turn."""
    page.get_by_role("textbox", name="Your question").fill(question)
    page.keyboard.press("Enter")
    turn = page.locator(".ll-turn", has=page.locator(".ll-question", has_text=question)).last
    expect(turn).to_be_visible()
    return turn


def answered(page: Page, question: str) -> Locator:
    turn = ask(page, question)
    expect(turn.get_by_role("button", name=GOOD)).to_be_visible()
    return turn


def compared(page: Page, question: str) -> Locator:
    turn = ask(page, question)
    expect(turn.get_by_role("button", name="Tie")).to_be_visible()
    return turn


def last(town: Street, kind: str) -> dict[str, Any]:
    """The newest event of a kind, as the log has it, with its answer."""
    found = town.api("GET", "/feedback", params={"kind": kind, "limit": 1})["items"]
    event: dict[str, Any] = found[0] if found else {"id": ""}
    return event


def new(town: Street, kind: str, before: dict[str, Any]) -> dict[str, Any]:
    """The event that came after `before`, once it went through the journal."""

    until(lambda: last(town, kind)["id"] != before["id"], 30)
    return last(town, kind)


def test_an_answer_comes_word_by_word_and_is_found_again(town: Street, page: Page) -> None:
    open_tab(page, town.ui, "chat", model="candidate")
    turn = ask(page, "endless")
    expect(turn.locator(".ll-answer .ll-words")).to_be_visible()
    assert turn.get_by_role("button", name=GOOD).count() == 0
    assert re.search(r"[?&]chat=", page.url)
    page.reload()
    expect(page.locator(".ll-question")).to_have_text("endless")
    expect(page.get_by_role("button", name=GOOD)).to_be_visible(timeout=60_000)
    expect(page.locator(".ll-answer")).to_contain_text("The 59th house")


def test_a_new_conversation_is_not_written_into_by_the_old_one(town: Street, page: Page) -> None:
    open_tab(page, town.ui, "chat")
    expect(ask(page, "endless")).to_contain_text("house")
    page.get_by_role("link", name="New conversation").click()
    expect(page.locator(".ll-empty")).to_be_visible()
    answered(page, QUESTION)
    expect(page.locator(".ll-turn")).to_have_count(1)
    page.go_back()
    page.go_back()
    expect(page.locator(".ll-question")).to_have_text("endless")


def test_a_thumb_is_an_event_at_the_gateway(town: Street, page: Page) -> None:
    before = last(town, "thumbs")
    open_tab(page, town.ui, "chat", model="candidate")
    answered(page, QUESTION).get_by_role("button", name=GOOD).click()
    expect(page.get_by_role("button", name=GOOD)).to_have_attribute("aria-pressed", "true")
    event = new(town, "thumbs", before)
    assert (event["value"], event["variant"]) == (1.0, "candidate")


def test_an_edit_is_kept_and_goes_into_the_next_question(town: Street, page: Page) -> None:
    before = last(town, "edit")
    open_tab(page, town.ui, "chat")
    answered(page, QUESTION).get_by_role("button", name="Edit the answer").click()
    page.get_by_label("What the answer should have been").fill("It is the Lann, dear.")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Your edit")).to_be_visible()
    assert new(town, "edit", before)["text"] == "It is the Lann, dear."
    before = last(town, "thumbs")
    answered(page, "Are you sure?").get_by_role("button", name=GOOD).click()
    rated = new(town, "thumbs", before)["inference"]
    messages = town.api("GET", f"/feedback/{rated}")["inference"]["messages"]
    assert [one["content"] for one in messages][1:] == ["It is the Lann, dear.", "Are you sure?"]


def test_asking_again_tells_which_answer_took_whose_place(town: Street, page: Page) -> None:
    before = last(town, "regenerate")
    open_tab(page, town.ui, "chat")
    answered(page, QUESTION)
    page.get_by_role("button", name="Answer again").click()
    expect(page.get_by_text("1 earlier answer")).to_be_visible()
    event = new(town, "regenerate", before)
    assert event["other"] not in ("", event["inference"])


def test_a_stream_is_stopped(town: Street, page: Page) -> None:
    open_tab(page, town.ui, "chat")
    turn = ask(page, "endless")
    page.get_by_role("button", name="Stop").click()
    expect(turn.get_by_text("Stopped.")).to_be_visible()
    expect(page.get_by_role("button", name="Send")).to_be_visible()


@pytest.mark.parametrize(
    ("question", "told"), [("refuse me", "out of luck"), ("fail me", "The backend closed")]
)
def test_an_error_of_the_gateway_is_a_message(
    town: Street, page: Page, question: str, told: str
) -> None:
    open_tab(page, town.ui, "chat")
    ask(page, question)
    expect(page.get_by_role("alert").first).to_contain_text(told)
    answered(page, QUESTION)


LISTEN = """
window.heard = [];
const real = window.fetch;
window.fetch = async (...asked) => {
  const answer = await real(...asked);
  const reader = answer.clone().body?.pipeThrough(new TextDecoderStream()).getReader();
  (async () => {
    for (let part; reader && !(part = await reader.read()).done; ) window.heard.push(part.value);
  })().catch(() => {});
  return answer;
};
const Source = window.EventSource;
window.EventSource = class extends Source {
  constructor(...asked) {
    super(...asked);
    this.addEventListener("message", (event) => window.heard.push(`data: ${event.data}\n`));
  }
};
"""
"""Everything that the page hears from its server."""


def test_before_a_blind_vote_the_page_hears_neither_names_nor_ids(town: Street, page: Page) -> None:
    page.add_init_script(LISTEN)
    open_tab(page, town.ui, "chat", mode="blind")
    expect(page.get_by_label("Answered by")).to_have_count(0)
    page.evaluate("window.heard = []")
    compared(page, QUESTION)
    heard = "".join(page.evaluate("window.heard"))
    assert re.findall(r"chatcmpl|[0-9a-v]{40}|side_by_side|inference", heard) == []
    turns = [text for text in strings(heard) if "ll-turn" in text]
    assert turns  # how many hangs on how the answer came in
    shown = [*turns, page.locator("#chat-now").evaluate("it => it.outerHTML")]
    assert [text for text in shown if re.search(r"town:v|candidate|control", text)] == []


def strings(heard: str) -> Iterator[str]:
    """All strings in the JSON of server-sent events."""
    for line in heard.splitlines():
        if line.startswith("data: {"):
            yield from _strings(json.loads(line.removeprefix("data: ")))


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _strings(one)


def test_a_blind_vote_is_kept_and_then_names_are_told(town: Street, page: Page) -> None:
    before = last(town, "choice")
    open_tab(page, town.ui, "chat", mode="blind")
    turn = compared(page, QUESTION)
    turn.get_by_role("button", name="B is better").click()
    expect(turn.locator(".ll-whose")).to_have_count(2)
    event = new(town, "choice", before)
    sides = [event["inference"], event["other"]]
    pair = [town.api("GET", f"/feedback/{id}")["inference"] for id in sides]
    assert event["choice"] == "second"
    assert {one["variant"] for one in pair} == {"control", "candidate"}
    names = [f"{one['variant']} {one['version']}" for one in pair]
    assert [" ".join(name.split()) for name in turn.locator(".ll-whose").all_inner_texts()] == names


@pytest.mark.parametrize(
    ("button", "choice"), [("A is better", "first"), ("Tie", "tie"), ("Both bad", "both_bad")]
)
def test_the_other_votes(town: Street, page: Page, button: str, choice: str) -> None:
    before = last(town, "choice")
    open_tab(page, town.ui, "chat", mode="blind")
    compared(page, QUESTION).get_by_role("button", name=button).click()
    expect(page.locator(".ll-whose")).to_have_count(2)
    assert new(town, "choice", before)["choice"] == choice


def test_nobody_goes_on_without_a_vote(town: Street, page: Page) -> None:
    open_tab(page, town.ui, "chat", mode="blind")
    compared(page, QUESTION)
    page.get_by_role("textbox", name="Your question").fill("And now?")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert").first).to_contain_text("which of the two")
    expect(page.locator(".ll-turn")).to_have_count(1)


def test_no_answer_does_more_than_to_be_read(town: Street, page: Page, seen: Seen) -> None:
    open_tab(page, town.ui, "chat")
    for number, bad in enumerate(HOSTILE):
        turn = answered(page, f"hostile {number}")
        said = turn.locator(".ll-answer .ll-words").first
        assert said.locator("a, img, svg, script, iframe, style, h1, math").count() == 0
        if number < 8:
            assert bad in said.inner_text()
    assert page.evaluate("window.owned") is None
    assert (seen.errors, seen.abroad) == ([], [])
    assert trouble(page) == []


def test_settings_that_are_left_empty_change_nothing(town: Street, page: Page) -> None:
    before = last(town, "thumbs")
    open_tab(page, town.ui, "chat")
    page.get_by_role("button", name="Settings").click()
    page.get_by_label("At most so many tokens").fill("nine")
    page.get_by_role("textbox", name="Your question").fill("Who?")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert").first).to_contain_text("number of tokens")
    page.get_by_label("At most so many tokens").fill("")
    page.get_by_label("User").fill("ann")
    answered(page, QUESTION).get_by_role("button", name=GOOD).click()
    rated = new(town, "thumbs", before)["inference"]
    found = town.api("GET", f"/feedback/{rated}")["inference"]
    assert not {"temperature", "max_tokens"} & set(found["parameters"] or {})
    assert found["user"]
    assert found["unit"] == f"user:{found['user']}"


def test_a_hostile_question_comes_back_as_text(town: Street, page: Page, seen: Seen) -> None:
    open_tab(page, town.ui, "chat")
    answered(page, HOSTILE[1])
    expect(page.locator(".ll-question")).to_have_text(HOSTILE[1])
    page.get_by_role("button", name="Edit the answer").click()
    page.get_by_label("What the answer should have been").fill(HOSTILE[0])
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".ll-answer .ll-words").first).to_have_text(HOSTILE[0])
    assert page.evaluate("window.owned") is None
    assert (seen.errors, seen.abroad) == ([], [])


def test_a_keyboard_is_enough_to_vote(town: Street, page: Page) -> None:
    open_tab(page, town.ui, "chat", mode="blind")
    turn = compared(page, QUESTION)
    tie = turn.get_by_role("button", name="Tie")
    for _ in range(40):
        page.keyboard.press("Shift+Tab")
        if tie.evaluate("it => it === document.activeElement"):
            break
    page.keyboard.press("Enter")
    expect(turn.get_by_text("Your vote is kept")).to_be_visible()


def test_two_answers_stand_below_each_other_on_a_phone(town: Street, browser: Browser) -> None:
    with window(browser, viewport=NARROW, has_touch=True, is_mobile=True) as page:
        open_tab(page, town.ui, "chat", mode="blind")
        turn = compared(page, QUESTION)
        lefts = [
            box.evaluate("it => it.getBoundingClientRect().left")
            for box in turn.locator(".ll-side").all()
        ]
        assert lefts[0] == lefts[1]
        assert page.evaluate("document.documentElement.scrollWidth") == NARROW["width"]


def test_a_conversation_is_nobody_elses(town: Street, browser: Browser, page: Page) -> None:
    """Without a login, whoever has the address has the conversation; a wrong one leads nowhere."""
    open_tab(page, town.ui, "chat", chat="guessed")
    expect(page.locator("#chat-past")).to_contain_text("That conversation is over")
