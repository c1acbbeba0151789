"""docs/errors: every message of the packages below stands there, and none that is said no more."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.messages import Messages

PAGES = ROOT / "docs" / "errors"
DOCUMENTED = {
    "spec": "recipes",
    "engines": "options",
    "data": "data",
    "runner": "runs",
    "stages": "runs",
    "report": "runs",
    "registry": "models",
    "publish": "models",
    "storage": "models",
    "environments": "engines",
    "store": "engines",
    "cli": "runs",
    "serving": "serving",
    "up": "serving",
    "gateway": "gateway",
    "feedback": "feedback",
    "preferences": "feedback",
    "simulation": "feedback",
    "evaluation": "evaluation",
    "experiments": "evaluation",
    "control": "control",
    "scheduling": "control",
    "lineage": "models",
    "starter": "recipes",
}
"""The page where the messages of a package mostly stand."""
ELSEWHERE = {"ui"}
"""What it adds stands beside the field that it is about."""
UNSAID = {"not a tokenizer: …", "a record is one line of JSON, without its end"}
"""What is caught before it reaches anybody."""
RETURNED = {
    "runner/alarm.py": (
        *("overfitting", "instability", "no_preference", "collapse"),
        *("_above", "_crept", "_fallen", "_unlearned"),
    ),
    "runner/limits.py": ("broken",),
    "stages/engine_run.py": ("ended_by",),
    "stages/resources.py": ("problem",),
    "evaluation/requirements.py": ("_problem",),
    "evaluation/power.py": ("_impossible",),
    "gateway/transcript.py": ("problem",),
    "up/parts.py": ("missing",),
}
"""Functions that tell what is wrong by what they return."""


@pytest.fixture(scope="module")
def said() -> Mapping[str, set[str]]:
    """Places by message, of the whole package."""
    messages = Messages()
    found = {_one_line(text): places for text, places in messages.found.items()}
    for path, names in RETURNED.items():
        for text, places in messages.returned(path, *names).items():
            found.setdefault(_one_line(text), set()).update(places)
    return {text: places for text, places in found.items() if text not in UNSAID}


@pytest.fixture(scope="module")
def listed() -> Mapping[str, str]:
    """Pages by message."""
    found: dict[str, str] = {}
    for page in sorted(PAGES.glob("*.md")):
        for line in page.read_text(encoding="utf-8").splitlines():
            if line.startswith("    "):
                text = line.strip()
                assert found.get(text) != page.name, f"{page.name} lists it twice: {text}"
                found[text] = page.name
    return found


def _one_line(text: str) -> str:
    return " ".join(text.split())


def test_every_message_is_listed(said: Mapping[str, set[str]], listed: Mapping[str, str]) -> None:
    missing = []
    for text, places in sorted(said.items()):
        packages = {place.split("/")[1] for place in places} - ELSEWHERE
        pages = {DOCUMENTED[package] for package in packages}
        if pages and text not in listed:
            missing.append(
                f"add the line below to docs/errors/{min(pages)}.md, with cause and cure "
                f"({min(places)}):\n    {text}"
            )
    assert not missing, "\n".join(missing)


def test_every_listed_message_is_said(
    said: Mapping[str, set[str]], listed: Mapping[str, str]
) -> None:
    stale = [
        f"docs/errors/{page}: nothing says: {text}"
        for text, page in listed.items()
        if text not in said
    ]
    assert not stale, "\n".join(stale)


@pytest.mark.parametrize("page", sorted(PAGES.glob("*.md")), ids=lambda p: p.name)
def test_every_message_has_a_cure(page: Path) -> None:
    """What follows a block of messages tells what to do behind an arrow, or names only warnings."""
    for block in re.split(r"\n\n(?=    )", page.read_text(encoding="utf-8"))[1:]:
        assert "→" in block, block
