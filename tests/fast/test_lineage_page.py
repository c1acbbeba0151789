"""A lineage as one HTML page: whole in itself, and its tables say what its picture does."""

import re
from pathlib import Path

import pytest

from llmops.lineage.of_version import of_version
from llmops.lineage.project import Project
from llmops.report.lineage import lineage_page
from llmops.spec.settings import load_settings
from tests.conftest import Llmops
from tests.fast.traced import Traced, traced

EVIL = "<img src=x onerror=alert(1)>"


@pytest.fixture
def past(project: Path) -> Traced:
    return traced(project)


def shown(version: str = "town:v3") -> str:
    with Project(load_settings()) as project:
        return lineage_page(of_version(version, project).record(), version)


def test_it_needs_no_script_and_no_other_file(past: Traced) -> None:
    page = shown()
    assert "<script" not in page
    assert not re.findall(r"(?:src|@import|url\()", page)
    assert set(re.findall(r'href="(.)', page)) == {"#"}


def test_every_link_of_the_picture_leads_to_a_row(past: Traced) -> None:
    page = shown()
    rows = set(re.findall(r' id="(n\d+)"', page))
    drawn = set(re.findall(r'href="#(n\d+)"', page.partition("</svg>")[0]))
    assert drawn == rows
    assert len(rows) == 14


def test_what_is_not_as_it_was_is_marked_in_both(past: Traced) -> None:
    past.file("a.jsonl", "other\n")
    picture, _, tables = shown().partition("</svg>")
    assert "data · changed since" in picture
    assert "changed since" in tables


def test_an_alias_that_moved_on_is_told_from_one_that_stands(past: Traced) -> None:
    assert ">alias<" in shown("town:v3")
    assert ">alias before<" in shown("town:v2")


def test_what_others_wrote_is_only_text(past: Traced) -> None:
    node = {"id": EVIL, "kind": EVIL, "label": EVIL, "state": EVIL, "facts": {EVIL: EVIL}}
    edge = {"from": EVIL, "to": EVIL, "relation": EVIL, "facts": {}}
    page = lineage_page({"about": [EVIL], "nodes": [node], "edges": [edge], "notes": [EVIL]}, EVIL)
    assert "<img" not in page


def test_the_command_writes_it(past: Traced, llmops: Llmops) -> None:
    assert llmops("lineage", "--data", "a.jsonl", "--html", "a.html").stdout == "a.html\n"
    assert "Lineage of a.jsonl" in (past.root / "a.html").read_text(encoding="utf-8")
