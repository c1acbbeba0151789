"""The log as pages: filters in the address, events in words, what a report says, downloads."""

import asyncio
from typing import Any

import httpx
import pytest

from llmops.ui.answer_page import answer_page
from llmops.ui.client import Client
from llmops.ui.download import Tickets, add_downloads
from llmops.ui.feedback_log import log_page, summary, what
from llmops.ui.forgotten import forgotten
from tests.browser.hostile import HOSTILE, NAME
from tests.fast.test_ui_words import Read

QUERY = {"tab": "feedback", "variant": "candidate", "after": "9,x"}
EVENT = {"id": "e", "time": 0, "received": 5, "deployment": "town", "inference": "i", "other": None}


def event(kind: str, **said: Any) -> dict[str, Any]:
    given = {"kind": kind, "value": None, "text": None, "variant": "control", "version": "town:v1"}
    return EVENT | given | said


def stats(variant: str) -> dict[str, Any]:
    return {
        "deployment": "town", "variant": variant, "version": "town:v2", "source": None,
        "answers": 12, "errors": 1, "users": 3, "feedback": {
            "thumbs": {"count": 4, "mean": 0.75},
            "choice": {"count": 5, "won": 3, "lost": 1, "tie": 1, "both_bad": 0},
        },
    }  # fmt: skip


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (event("thumbs", value=1.0), "thumbs up"),
        (event("thumbs", value=0.0), "thumbs down"),
        (event("choice", choice="second"), "the second was better"),
        (event("choice", choice="both_bad"), "both bad"),
        (event("rating", value=0.75, detail={"value": 4, "scale": [1, 5]}), "4 of 5"),
        (event("rating", value=0.5), "0.5 of 1"),
        (event("metric", name="resolved", value=1.0), "resolved 1"),
        (event("comment", text="too long"), "too long"),
        (event("comment", redacted=1), "erased"),
    ],
)
def test_an_event_in_a_few_words(said: dict[str, Any], words: str) -> None:
    assert Read(what(said)).text == words


def test_a_filter_is_a_link_that_keeps_the_others_and_starts_over() -> None:
    page = log_page({"items": [], "next": None}, [stats("candidate"), stats("control")], QUERY)
    assert 'href="?tab=feedback&amp;variant=candidate&amp;kind=edit"' in page
    assert 'href="?tab=feedback&amp;variant=control"' in page
    assert "after=" not in page.replace("‹ First page", "")


def test_the_next_page_is_a_link_with_the_filters() -> None:
    page = log_page({"items": [event("thumbs")], "next": "7,y"}, [], QUERY)
    assert 'href="?tab=feedback&amp;variant=candidate&amp;after=7%2Cy"' in page


def test_figures_are_shares_of_how_many() -> None:
    found = Read(summary([stats("candidate")], {}, "download/x")).text
    assert "75% of 4" in found
    assert "3 : 1" in found
    assert "12 1 failed" in found


@pytest.mark.parametrize("text", [*HOSTILE, NAME])
def test_nothing_in_the_log_is_markup(text: str) -> None:
    said = event("comment", text=text, variant=text, version=text)
    one = {**stats(text), "version": text}
    about = {"redacted": None, "messages": [{"role": text, "content": text}], "error": text,
             "choices": [{"text": text}], "version": text, "variant": text, "deployment": text,
             "time": 0, "unit": text, "finish": text, "source": text, "response": text}  # fmt: skip
    used = [{"snapshot": text, "rows": 1, "versions": [text]}]
    shown = {"id": text, "inference": about, "events": [said], "group": [text], "snapshots": used}
    pages = [log_page({"items": [said]}, [one], {}), summary([one], {}, "x"), answer_page(shown)]
    for page in pages:
        assert not Read(page).names & {"script", "img", "svg", "iframe", "style", "h1", "textarea"}
        assert not any(name.startswith("on") for name in Read(page).attributes)


def test_an_answer_that_is_not_in_the_log_still_shows_what_was_said() -> None:
    shown = {"id": "i", "inference": None, "events": [event("comment", text="hm")], "group": []}
    found = Read(answer_page(shown)).text
    assert "not in the log" in found
    assert "hm" in found


def test_the_report_names_what_was_left() -> None:
    found = {
        "user": "h", "tombstone": "t", "inferences": 3, "events": 2, "known": 5, "purged": True,
        "snapshots": [{"id": "town@1", "rows": 2, "versions": ["town:v2"]}], "golden": ["town:v1"],
        "segments": {"a.jsonl": "still being written"}, "files": ["suites/town.yaml"],
    }  # fmt: skip
    text = Read(forgotten(found)).text
    for part in ("town@1", "town:v2", "town:v1", "still being written", "suites/town.yaml"):
        assert part in text


def test_a_user_of_whom_nothing_is_known_is_said_plainly() -> None:
    assert "Nothing in the log" in Read(forgotten({"known": 0})).text


def test_a_ticket_opens_what_it_was_made_for_and_nothing_else() -> None:
    from fastapi import FastAPI

    app, tickets = FastAPI(), Tickets()
    client = Client("http://127.0.0.1:9")
    add_downloads(app, client, tickets)
    good = tickets.link("/feedback/export", {"since": "7d", "deployment": None}, "key")

    async def get(path: str) -> int:
        there = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=there, base_url="http://ui") as ui:
            return (await ui.get(path)).status_code

    assert asyncio.run(get("/download/guessed")) == 404
    assert asyncio.run(get(f"/{good}")) == 503  # control is away
    found = tickets.find(good.removeprefix("download/"))
    assert found is not None
    assert found.params == {"since": "7d"}
