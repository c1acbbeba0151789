"""The shell of the UI: who may ask it, what it serves, how it talks to control, what a tab is told.

Control stands in as a small ASGI application that answers what a test says.
"""

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import gradio as gr
import httpx
import pytest

from llmops.errors import BadInput
from llmops.spec.deployment import is_loopback
from llmops.ui.app import TABS, create_app
from llmops.ui.client import Api, Client, Problem, segment
from llmops.ui.download import Tickets
from llmops.ui.frame import Ask, Ui
from llmops.ui.login import Sessions
from llmops.ui.origin import OwnPagesOnly
from llmops.ui.server import serve
from llmops.ui.watch import Watch

Answers = dict[str, tuple[int, Any]]
OWN = {"host": "127.0.0.1:7860"}


class Control(Client):
    """A client whose far side answers from a table: path to (status, JSON). asked: what came."""

    def __init__(self, answers: Answers) -> None:
        super().__init__("http://control")
        self.asked: list[httpx.Request] = []
        self.answers = answers

    @property
    def http(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.ASGITransport(self._app))

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        headers = {k.decode(): v.decode() for k, v in scope["headers"]}
        body = (await receive()).get("body", b"")
        url = f"http://control{scope['raw_path'].decode()}?{scope['query_string'].decode()}"
        self.asked.append(httpx.Request(scope["method"], url, headers=headers, content=body))
        status, answer = self.answers.get(scope["path"], (404, {"detail": "not there"}))
        if callable(answer):
            answer = answer(self.asked[-1])
        start = {"type": "http.response.start", "status": status}
        await send({**start, "headers": [(b"content-type", b"application/json")]})
        content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        await send({"type": "http.response.body", "body": content})


def ask(client: Client, method: str, *args: Any, **given: Any) -> Any:
    return asyncio.run(getattr(client.api("k"), method)(*args, **given))


def test_what_control_says_is_wrong_is_told_in_its_words() -> None:
    told = {"detail": "no run `x`", "fix": "llmops runs list", "code": "not_found", "where": "w"}
    with pytest.raises(Problem) as found:
        ask(Control({"/runs/x": (404, told)}), "get", "/runs/x")
    one = found.value
    assert (one.what, one.fix, one.code, one.where, one.status) == (
        "no run `x`", "llmops runs list", "not_found", "w", 404,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("status", "answer"),
    [(500, b"<html>"), (502, {}), (200, b"<html>"), (418, [1])],
    ids=range(4),
)
def test_what_is_no_answer_is_a_problem_all_the_same(status: int, answer: Any) -> None:
    with pytest.raises(Problem):
        ask(Control({"/x": (status, answer)}), "get", "/x")


def test_a_control_that_is_away_is_told_with_what_to_do() -> None:
    with pytest.raises(Problem, match="control does not answer") as found:
        ask(Client("http://127.0.0.1:9"), "get", "/runs")
    assert "llmops control" in found.value.fix


def test_requests_carry_the_key_and_what_is_begun_an_idempotency_key() -> None:
    control = Control({"/runs": (202, {"id": "r"})})
    ask(control, "post", "/runs", {"target": "t"})
    ask(control, "get", "/runs", state="", limit=3)
    begun, listed = control.asked
    assert begun.headers["authorization"] == "Bearer k"
    assert len(begun.headers["idempotency-key"]) == 32
    assert listed.url.query == b"limit=3"


def test_a_session_has_the_key_that_it_began_with() -> None:
    """Also when the next one comes with a newer key of the same name."""
    sessions = Sessions(Control({"/whoami": (200, {"name": "mara"})}), required=True)
    cookies = [asyncio.run(sessions.begin(key)) for key in ("older", "newer")]
    assert [sessions.key(sessions.name(one)) for one in cookies] == ["older", "newer"]
    sessions.end(cookies[0])
    assert [sessions.name(one) is None for one in cookies] == [True, False]


def test_without_a_session_nobody_is_let_through_as_nobody() -> None:
    sessions = Sessions(Control({}), required=True)
    for name in (None, "", "other"):
        with pytest.raises(Problem, match="logged out"):
            sessions.key(name)


def test_a_session_that_nobody_used_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    sessions = Sessions(Control({"/whoami": (200, {"name": "mara"})}), required=True)
    cookie = asyncio.run(sessions.begin("k"))
    now = time.monotonic()
    for hours, there in ((11, True), (22, True), (35, False)):
        monkeypatch.setattr(time, "monotonic", lambda at=now + hours * 3600: at)
        assert (sessions.name(cookie) is not None) == there


@pytest.mark.parametrize("key", ["", "schl\u00fcssel", "a\r\nHost: b", "unknown"])
def test_who_control_does_not_know_may_not_log_in(key: str) -> None:
    sessions = Sessions(Control({"/whoami": (401, {"detail": "unknown"})}), required=True)
    with pytest.raises(Problem):
        asyncio.run(sessions.begin(key))


def called(fn: Any, data: dict[str, Any]) -> Any:
    """What a function of a tab gives to Gradio: its output, the notice, where to go."""

    async def call() -> Any:  # Gradio makes an event loop of its own where none runs
        control = Control({})
        ui = Ui(control, Sessions(control, required=False), Tickets())
        with gr.Blocks(), gr.Tabs(), gr.Tab():
            ui.begin("runs")
            ui.on_do("act", fn, ["input"], ["output"])
        handler: Any = ui.listeners[0].handler
        return await handler(gr.Request(username=None), gr.EventData(None, data), "input")

    return asyncio.run(call())


def test_a_problem_is_told_in_the_page_and_what_was_there_stays() -> None:
    async def fails(ask: Ask, value: str) -> str:
        raise Problem("it is <gone>", fix="try again")

    output, notice, _ = called(fails, {})
    assert output == gr.skip()
    assert "it is &lt;gone&gt;" in notice


def test_a_defect_is_told_without_its_details(caplog: pytest.LogCaptureFixture) -> None:
    async def breaks(ask: Ask, value: str) -> str:
        raise KeyError("secret")

    _, notice, _ = called(breaks, {})
    assert "secret" not in notice
    assert "secret" in caplog.text


def test_a_function_knows_what_was_pressed_and_may_lead_elsewhere() -> None:
    async def goes(ask: Ask, value: str) -> str:
        ask.say("done ", ask.value, " because ", ask.why)
        ask.go(tab="runs", run="x", stage=None)
        return value

    data = {"value": "v<", "why": "w", "id": 7, "query": {"tab": "home"}}
    output, notice, where = called(goes, data)
    assert output == "input"
    assert "done v&lt; because w" in notice
    told = json.loads(where)
    assert (told["query"], told["done"]) == ({"tab": "runs", "run": "x"}, 7)


def test_an_act_has_one_function() -> None:
    async def act(ask: Ask) -> None: ...

    async def twice() -> None:
        ui = Ui(Control({}), Sessions(Control({}), required=False), Tickets())
        with gr.Blocks(), gr.Tabs(), gr.Tab():
            ui.begin("runs")
            ui.on_do("stop", act)
            ui.on_do("stop", act)

    with pytest.raises(ValueError, match="two functions"):
        asyncio.run(twice())


def test_figures_are_asked_once_for_all_who_look_and_only_what_is_new() -> None:
    def items(request: httpx.Request) -> Any:
        after = int(request.url.params.get("after", 0))
        return {"items": [{"step": after + 1, "loss": 1.0}], "total": 9, "finished": False}

    control = Control({"/runs/r/stages/s/metrics": (200, items)})
    api = Api(control, None)

    async def look() -> list[int]:
        watch = Watch()
        await asyncio.gather(*(watch.metrics(api, "r", "s", 1) for _ in range(20)))
        found = await watch.metrics(api, "r", "s", 1)
        found.at = float("-inf")
        return [one["step"] for one in (await watch.metrics(api, "r", "s", 1)).items]

    assert asyncio.run(look()) == [1, 2]
    assert len(control.asked) == 2


def test_what_many_pages_ask_is_asked_once_until_something_is_done() -> None:
    control = Control({"/runs": (200, {"items": []})})
    api = Api(control, None)

    async def look() -> None:
        await asyncio.gather(*(api.shared("/runs", limit=3) for _ in range(20)))
        await Api(control, "other").shared("/runs", limit=3)
        await api.post("/runs")
        await api.shared("/runs", limit=3)

    asyncio.run(look())
    assert [one.method for one in control.asked] == ["GET", "GET", "POST", "GET"]


@pytest.mark.parametrize("name", ["../healthz", "a/b", "a?b", "..", "."])
def test_a_name_leads_to_no_other_page_of_control(name: str) -> None:
    control = Control({})
    with pytest.raises(Problem):
        ask(control, "get", f"/runs/{segment(name)}")
    assert [one.url.raw_path.count(b"/") for one in control.asked] in ([2], [])


async def _page(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"page"})


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("GET", OWN, 200),
        ("POST", OWN, 200),
        ("POST", {**OWN, "origin": "http://127.0.0.1:7860"}, 200),
        ("POST", {**OWN, "origin": "http://127.0.0.1:9999"}, 403),
        ("POST", {**OWN, "origin": "https://evil.invalid"}, 403),
        ("POST", {**OWN, "origin": "null"}, 403),
        ("GET", {"host": "evil.invalid:7860"}, 403),
        ("GET", {"host": "[::1]:7860"}, 200),
    ],
)
def test_pages_of_others_may_ask_nothing(method: str, headers: dict[str, str], status: int) -> None:
    async def request() -> int:
        transport = httpx.ASGITransport(OwnPagesOnly(_page, loopback=True))
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as http:
            return (await http.request(method, "/", headers=headers)).status_code

    assert asyncio.run(request()) == status


@pytest.mark.parametrize("path", ["/", "/healthz", "/nothing"])
def test_a_page_stands_in_no_frame_and_loads_nothing_from_elsewhere(app: Any, path: str) -> None:
    policy = got(app, path).headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy
    assert "default-src 'self'" in policy
    assert "http" not in policy


def made(control: Control, **given: Any) -> Any:
    async def make() -> Any:
        return create_app(control, **given)

    return asyncio.run(make())


@pytest.fixture(scope="module")
def app() -> Any:
    return made(Control({}))


@asynccontextmanager
async def browser(app: Any) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:7860") as http:
        yield http


def got(app: Any, path: str) -> httpx.Response:
    async def get() -> httpx.Response:
        async with browser(app) as http:
            return await http.get(path)

    return asyncio.run(get())


def test_the_page_has_every_tab_and_loads_nothing_from_elsewhere(app: Any) -> None:
    page = got(app, "/").text
    for name, title, _ in TABS:
        assert f'"tab-{name}"' in page
        assert title in page
    loaded = re.findall(r'(?:src|href)="(https?:[^"]+)"|url\((https?:[^)]+)\)', page)
    assert not loaded
    theme = got(app, "/theme.css").text
    assert not re.findall(r"url\(['\"]?https?:|@import|https?://(?!www\.w3\.org/2000/svg)", theme)


def test_scripts_are_kept_by_browsers_and_sent_as_they_are(app: Any) -> None:
    """Of loopback; elsewhere the way is longer than the work to compress them."""
    (name, *_) = re.findall(r"assets/index-[A-Za-z0-9_-]+\.js", got(app, "/").text)
    answer = got(app, f"/{name}")
    assert "immutable" in answer.headers["cache-control"]
    assert "content-encoding" not in answer.headers
    assert "cache-control" not in got(app, "/assets/nothing.js").headers


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/file=/etc/passwd",
        "/gradio_api/file=llmops.toml",
        "/file=/etc/passwd",
        "/gradio_api/proxy=http://127.0.0.1:1/",
        "/assets/../../../../../../etc/passwd",
        "/monitoring",
        "/gradio_api/runs",
        "/docs",
        "/openapi.json",
    ],
)
def test_no_file_and_no_other_page_is_served(app: Any, path: str) -> None:
    assert got(app, path).status_code in (400, 403, 404, 405)


def test_no_function_is_an_endpoint_for_others(app: Any) -> None:
    found = got(app, "/gradio_api/info").json()
    assert not found["named_endpoints"]
    assert not found["unnamed_endpoints"]


def guarded(answers: Answers) -> Any:
    return made(Control(answers), login=True, loopback=False)


@pytest.mark.parametrize("path", ["/config", "/gradio_api/info", "/download/x", "/theme.css"])
def test_behind_a_login_nothing_is_shown_before_it(path: str) -> None:
    app = guarded({})
    assert got(app, path).status_code == 401
    assert got(app, "/?tab=runs").headers["location"] == "login?then=tab%3Druns"


def test_a_login_leads_to_the_page_that_was_asked_for_and_a_logout_ends_it() -> None:
    app = guarded({"/whoami": (200, {"name": "mara"})})

    async def visit() -> list[httpx.Response]:
        async with browser(app) as http:
            sent = {"key": "k", "then": "tab=runs&run=x"}
            began = await http.post("/login", data=sent)
            there = await http.get("/")
            await http.post("/logout")
            return [began, there, await http.get("/")]

    began, there, after = asyncio.run(visit())
    assert (began.status_code, began.headers["location"]) == (303, "./?tab=runs&run=x")
    assert "HttpOnly" in began.headers["set-cookie"]
    assert "tab-runs" in there.text
    assert after.headers["location"] == "login"


def test_a_login_says_why_it_failed_and_repeats_nothing() -> None:
    app = guarded({"/whoami": (401, {"detail": "the API key was <revoked>"})})

    async def visit() -> httpx.Response:
        async with browser(app) as http:
            return await http.post("/login", data={"key": "s3cret", "then": '"><script>'})

    told = asyncio.run(visit())
    assert told.status_code == 403
    assert "the API key was &lt;revoked&gt;" in told.text
    assert "s3cret" not in told.text
    assert "<script" not in told.text


def test_where_it_listens_is_checked_first() -> None:
    with pytest.raises(BadInput, match="not a URL"):
        serve("127.0.0.1:8700", None, "127.0.0.1", 0, print)
    with pytest.raises(BadInput, match="no address"):
        serve("http://127.0.0.1:8700", None, "no such host", 0, print)
    assert [is_loopback(one) for one in ("::1", "127.0.0.2", "0.0.0.0", "localhost", "a")] == [
        True, True, False, True, False,
    ]  # fmt: skip
