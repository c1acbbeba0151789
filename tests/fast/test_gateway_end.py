"""A gateway that ends: answers under way are finished or cut off, told so, and recorded."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.fast.backend_server import (
    BackendServer,
    floods,
    hangs,
    hangs_in_the_middle,
    waits,
)
from tests.fast.gateway_process import gateway, routes

pytestmark = pytest.mark.slow
BODY = {"model": "town", "messages": [{"role": "user", "content": "Hello"}]}
STREAM = BODY | {"stream": True}
PATH = "/v1/chat/completions"


def test_streams_under_way_end_before_the_gateway_does(
    backend: BackendServer, tmp_path: Path
) -> None:
    with (
        gateway(tmp_path, routes(backend.url), "--drain", "5") as process,
        process.client() as http,
    ):
        go_on = asyncio.Event()
        backend.answer = waits(go_on)
        with http.stream("POST", PATH, json=STREAM) as response:
            lines = response.iter_lines()
            assert "first" in next(lines)
            process.process.terminate()
            backend.loop.call_soon_threadsafe(go_on.set)
            assert "data: [DONE]" in list(lines)
        assert process.stop() == 0
        assert process.records()[-1]["error"] is None


def test_who_still_waits_after_the_drain_is_told(backend: BackendServer, tmp_path: Path) -> None:
    with (
        gateway(tmp_path, routes(backend.url), "--drain", "0.1") as process,
        process.client() as http,
    ):
        backend.answer = hangs_in_the_middle
        with http.stream("POST", PATH, json=STREAM) as response:
            lines = response.iter_lines()
            assert "half" in next(lines)
            process.process.terminate()
            assert "gateway_stopped" in "".join(lines)
        assert process.stop() == 0
        assert process.records()[-1]["error"] == "the gateway was stopped"


@pytest.mark.parametrize(("more", "records"), [({}, 1), ({"side_by_side": True}, 2)])
def test_who_reads_no_more_is_recorded_when_the_gateway_ends(
    backend: BackendServer, tmp_path: Path, more: dict[str, Any], records: int
) -> None:
    with (
        gateway(tmp_path, routes(backend.url), "--drain", "0.1") as process,
        process.client() as http,
    ):
        backend.answer = floods
        backend.stuck.clear()
        with http.stream("POST", PATH, json=STREAM | more):
            assert backend.stuck.wait(20)
            assert process.stop() == 0
        stopped = ["the gateway was stopped"] * records
        assert [record["error"] for record in process.records()] == stopped


def test_a_whole_answer_that_the_end_cuts_off_is_recorded_as_told(
    backend: BackendServer, tmp_path: Path
) -> None:
    with (
        gateway(tmp_path, routes(backend.url), "--drain", "0.1") as process,
        process.client() as http,
    ):
        backend.answer = hangs
        backend.came.clear()
        with ThreadPoolExecutor() as pool:
            asking = pool.submit(http.post, PATH, json=BODY)
            assert backend.came.wait(20)
            assert process.stop() == 0
        told = asking.result()
        assert (told.status_code, told.json()["error"]["code"]) == (503, "gateway_stopped")
        (record,) = process.records()
        assert (record["error"], record["status"]) == ("the gateway was stopped", 503)
