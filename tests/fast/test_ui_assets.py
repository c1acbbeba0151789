"""Gradio's scripts: kept in memory, and sent as the browser takes them."""

import asyncio
from typing import Any

from llmops.ui.assets import QuickAssets
from tests.fast.test_ui_shell import browser


def test_a_script_is_read_once_and_remembered_whole() -> None:
    asked = []

    async def gradio(scope: Any, receive: Any, send: Any) -> None:
        asked.append(scope["path"])
        status = 200 if scope["path"].endswith("/one.js") else 404
        await send({"type": "http.response.start", "status": status, "headers": []})
        for part in (b"whole", b"ness"):
            await send({"type": "http.response.body", "body": part, "more_body": part == b"whole"})

    async def visit() -> list[str]:
        async with browser(QuickAssets(gradio, loopback=True)) as http:
            paths = ["/assets/one.js", "/assets/one.js", "/assets/gone.js", "/assets/gone.js", "/"]
            return [(await http.get(one, headers={"range": "bytes=0-1"})).text for one in paths]

    assert asyncio.run(visit()) == ["wholeness"] * 5
    assert asked == ["/assets/one.js", "/assets/gone.js", "/assets/gone.js", "/"]


def test_elsewhere_a_script_is_sent_as_the_browser_takes_it() -> None:
    async def gradio(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        body = dict(scope["headers"])[b"accept-encoding"]
        await send({"type": "http.response.body", "body": body})

    async def visit() -> list[str]:
        async with browser(QuickAssets(gradio, loopback=False)) as http:
            told = ({"accept-encoding": one} for one in ("gzip, br", "gzip, deflate", "deflate"))
            return [(await http.get("/assets/one.js", headers=one)).text for one in told]

    assert asyncio.run(visit()) == ["br", "gzip", ""]
