"""Texts of others as a page shows them: all of the text, and none of it markup."""

from html.parser import HTMLParser

import pytest

from llmops.ui.words import snippet, words
from tests.browser.hostile import HOSTILE


class Read(HTMLParser):
    """The elements and the text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.names: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.attributes.update(name for name, _ in attrs)

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_becomes_an_element(text: str) -> None:
    found = Read(words(text))
    assert found.names <= {"div", "p", "pre", "code", "span"}
    assert found.attributes <= {"class", "dir", "tabindex", "title"}


@pytest.mark.parametrize("text", HOSTILE[:8])
def test_nothing_of_a_text_is_left_out(text: str) -> None:
    assert Read(words(text)).text == text


@pytest.mark.parametrize("character", "\u202e\u200b\u2066\x00\x1b\ud800\U000e0041\ufeff")
def test_a_hidden_character_is_shown_by_its_number(character: str) -> None:
    page = words(f"a{character}b")
    assert character not in page
    assert Read(page).text == f"aU+{ord(character):04X}b"
    page.encode()


def test_emoji_of_several_parts_stay_whole() -> None:
    assert Read(words("👩\u200d🌾 می\u200cخواهم")).text == "👩\u200d🌾 می\u200cخواهم"


def test_a_fenced_block_is_set_as_code_and_the_rest_is_not() -> None:
    page = words("Run\n```python\nprint(1)\n\n# two\n```\nand go.")
    assert page.count("<pre") == 1
    assert "<code>print(1)\n\n# two</code>" in page
    assert "<p>Run</p>" in page
    assert "<p>and go.</p>" in page


def test_a_block_that_is_still_being_written_is_code_already() -> None:
    assert "<code>x = 1</code>" in words("```\nx = 1")


def test_a_long_text_is_cut_in_a_list() -> None:
    found = Read(snippet("word\n" * 100))
    assert len(found.text) < 150
    assert found.text.endswith("…")
