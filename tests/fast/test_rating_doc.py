"""docs/rating.md is true: its events are accepted, and every kind is shown."""

import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import get_args

import pytest

from llmops.feedback.acceptance import accept
from llmops.feedback.identity import Identity
from llmops.feedback.records import FeedbackKind
from tests.conftest import ROOT
from tests.fast.backend_server import BackendServer
from tests.fast.gateway_process import gateway, routes

PAGE = (ROOT / "docs" / "rating.md").read_text(encoding="utf-8")
EVENTS = re.findall(r"^```json\n(.*?)^```", PAGE, re.M | re.S)
IDENTITY = Identity(b"s" * 32)


def with_true_ids(text: str) -> str:
    """Each id of the page becomes one that was given just now."""
    ids = sorted(set(re.findall(r"chatcmpl-([0-9a-v]{40})", text)))
    for one in ids:
        text = text.replace(one, IDENTITY.new_id("town"))
    return text


@pytest.mark.parametrize("text", EVENTS)
def test_every_event_of_the_page_is_accepted(text: str) -> None:
    body = json.loads(with_true_ids(text))
    accept(body, identity=IDENTITY, deployment="town", window=60, now=time.time() + 1)


def test_the_page_shows_every_kind() -> None:
    assert {json.loads(text)["kind"] for text in EVENTS} == set(get_args(FeedbackKind))


def test_the_curl_of_the_page_is_accepted() -> None:
    curl = re.search(r"-d '(\{.*?\})'", PAGE)
    assert curl is not None
    body = json.loads(with_true_ids(curl[1]))
    accept(body, identity=IDENTITY, deployment="town", window=60, now=time.time() + 1)


def test_the_python_of_the_page_rates_an_answer_of_a_real_gateway(tmp_path: Path) -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.M | re.S)
    with BackendServer().running() as backend, gateway(tmp_path, routes(backend.url)) as running:
        code = code.replace("http://127.0.0.1:8000", running.url)
        subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
        answer, vote = running.recorded(2)
    assert (vote["inference"], vote["value"]) == (answer["id"], 0.0)
    assert vote["user"] == answer["user"] is not None
