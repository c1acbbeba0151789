"""What every tab is built on: when it is shown, what its buttons do, how trouble is told.

A tab module has `build(ui: Ui) -> None`, called inside its gr.Tab. It makes components and says

    ui.on_show(load, outputs=[panel])            the tab was opened (click, link, back button)
    ui.every(2, load, outputs=[panel])           again and again, while someone looks at it
    ui.on_do("stop_run", stop, outputs=[panel])  a button.act("Stop", "stop_run", ...) was pressed
    ui.on(box.submit, search, [box], [panel])    an event of a Gradio component

Each function is `async def f(ask: Ask, *inputs)` and returns the outputs (None: leave all as they
are). A Problem that it raises is told in the page; the outputs stay. An `async def` that yields
shows each of its outputs as it comes.
"""

import inspect
import json
import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import gradio as gr

from llmops.ui.client import Api, Client, Problem
from llmops.ui.download import Tickets
from llmops.ui.login import Sessions
from llmops.ui.markup import Html
from llmops.ui.panel import said, trouble

LOG = logging.getLogger("llmops.ui")
Handler = Callable[..., Awaitable[Any] | AsyncIterator[Any]]
Components = Sequence[Any]
EVENT = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
"""Of every listener: one plain request, nothing that flickers, and no endpoint for others."""
STREAM = {**EVENT, "queue": True, "concurrency_limit": None, "trigger_mode": "multiple"}
"""Of those that answer in parts; Gradio's queue carries them, as many at once as there are."""


@dataclass
class Ask:
    """One event of one person's page. api: control as they may use it; query: of the address bar;
    data: what a pressed button carried (`value`, and `why` where it asked for a reason)."""

    api: Api
    query: dict[str, str]
    data: dict[str, Any]
    session: str = ""
    note: Html | None = None
    going: dict[str, str] | None = None

    @property
    def value(self) -> str:
        return str(self.data.get("value") or "")

    @property
    def why(self) -> str:
        return str(self.data.get("why") or "")

    @property
    def input(self) -> str:
        """What an input with `data-change` holds now; `true` or `false` for a checkbox."""
        return str(self.data.get("input") or "")

    def say(self, *children: object) -> None:
        """Tell, above the tab, what was done. children: as of markup.tag."""
        self.note = said(*children)

    def go(self, **query: str | None) -> None:
        """Open `?tab=...&...`, as if a link to it had been followed."""
        self.going = {key: str(value) for key, value in query.items() if value}


@dataclass
class Listener:
    """One event of the router (page.js), and what it does."""

    event: str
    handler: Handler
    inputs: list[Any]
    outputs: list[Any]
    goes: bool
    options: dict[str, Any] = field(default_factory=lambda: EVENT)


def _router() -> gr.HTML:
    return gr.HTML("", render=False, visible="hidden", elem_id="llmops-router")


@dataclass
class Ui:
    """The shell that tabs are built on. client: to control and gateway; sessions: who logged in;
    router: rendered after all tabs (router.py); tickets: for links that download."""

    client: Client
    sessions: Sessions
    tickets: Tickets
    tab: str = ""
    router: gr.HTML = field(default_factory=_router)
    listeners: list[Listener] = field(default_factory=list)
    ticks: dict[str, float] = field(default_factory=dict)
    _notices: dict[str, tuple[gr.HTML, gr.HTML]] = field(default_factory=dict)

    def begin(self, tab: str) -> None:
        """Open a tab: what is made from here on belongs to it."""
        self.tab = tab
        told = gr.HTML("", elem_id=f"{tab}-said", elem_classes="ll-said")
        wrong = gr.HTML("", elem_id=f"{tab}-trouble", elem_classes="ll-said")
        self._notices[tab] = (told, wrong)

    def on_show(self, fn: Handler, inputs: Components = (), outputs: Components = ()) -> None:
        """Run fn whenever the tab is shown, and when a link within it is followed."""
        self._listen("show", fn, inputs, outputs, goes=True)

    def every(
        self, seconds: float, fn: Handler, inputs: Components = (), outputs: Components = ()
    ) -> None:
        """Run fn every so many seconds while the tab is looked at; never twice at once."""
        self.ticks[self.tab] = seconds
        self._listen("tick", fn, inputs, outputs, goes=False)

    def on_do(
        self, act: str, fn: Handler, inputs: Components = (), outputs: Components = ()
    ) -> None:
        """Run fn when a button with that act is pressed, and confirmed where it asks for that; or
        when an input with `data-change` of that name has changed (`ask.input`).
        Each act has one fn in all of the UI."""
        if any(one.event == f"do_{act}" for one in self.listeners):
            raise ValueError(f"two functions for the act `{act}`")
        told, _ = self._notices[self.tab]
        handler = self._handler(fn, len(outputs), goes=True)
        out = [*outputs, told]
        self.listeners.append(Listener(f"do_{act}", handler, list(inputs), out, True, _options(fn)))

    def on(
        self,
        event: Callable[..., Any],
        fn: Handler,
        inputs: Components = (),
        outputs: Components = (),
        **options: Any,
    ) -> Any:
        """Run fn on an event of a component (`box.submit`). options: as of Gradio's listeners."""
        told, _ = self._notices[self.tab]
        handler = self._handler(fn, len(outputs), goes=True)
        out = [*outputs, told, self.router]
        return event(handler, list(inputs), out, **{**_options(fn), **options})

    def _listen(
        self, what: str, fn: Handler, inputs: Components, outputs: Components, *, goes: bool
    ) -> None:
        """A listener that loads the tab: when it works, what was wrong before is over."""
        _, wrong = self._notices[self.tab]
        handler = self._handler(fn, len(outputs), goes=goes)
        event, out = f"{what}_{self.tab}", [*outputs, wrong]
        self.listeners.append(Listener(event, handler, list(inputs), out, goes, _options(fn)))

    def _handler(self, fn: Handler, count: int, *, goes: bool) -> Handler:
        """fn as Gradio calls it: of `count` outputs, then the notice, then where to go."""
        if inspect.isasyncgenfunction(fn):
            return self._stream(fn, count, goes=goes)
        if not inspect.iscoroutinefunction(fn):
            raise TypeError(f"{fn.__qualname__} is not async: a tab's functions only wait")

        async def handle(request: gr.Request, event: gr.EventData, *values: Any) -> Any:
            ask = self.ask(request, getattr(event, "_data", None))
            result: Any = None
            try:
                result = await fn(ask, *values)
                notice: Html | str = ask.note or ""
            except Exception as error:
                notice = _wrong(error, fn)
            return _told(ask, result, count, notice, goes=goes)

        return handle

    def _stream(self, fn: Callable[..., Any], count: int, *, goes: bool) -> Handler:
        """The same for a function that yields."""

        async def handle(request: gr.Request, event: gr.EventData, *values: Any) -> Any:
            ask = self.ask(request, getattr(event, "_data", None))
            try:
                async for result in fn(ask, *values):
                    yield _told(ask, result, count, ask.note or "", goes=goes)
                    ask.going = None
            except Exception as error:
                yield _told(ask, None, count, _wrong(error, fn), goes=goes)

        return handle

    def ask(self, request: gr.Request, data: Any) -> Ask:
        """Who asks, and what."""
        carried = dict(data) if isinstance(data, Mapping) else {}
        query = carried.pop("query", None)
        found = {str(k): str(v) for k, v in query.items()} if isinstance(query, Mapping) else {}
        key = self.sessions.key(request.username)
        return Ask(self.client.api(key), found, carried, request.session_hash or "")


def _options(fn: Handler) -> dict[str, Any]:
    return STREAM if inspect.isasyncgenfunction(fn) else EVENT


def _wrong(error: Exception, fn: Handler) -> Html:
    """What a function's error is to who looks at the page."""
    if isinstance(error, Problem):
        return trouble(error)
    LOG.error("a defect in %s", fn.__qualname__, exc_info=error)
    return trouble(Problem("this page has a defect", fix="the UI's log says more"))


def _told(ask: Ask, result: Any, count: int, notice: Html | str, *, goes: bool) -> list[Any]:
    """The outputs, the notice, and where to go, for a listener that may go anywhere."""
    done = ask.data.get("id")
    told = gr.skip() if ask.going is None and done is None else destination(ask.going, done)
    going = [told] if goes else []
    return [*_outputs(result, count), notice, *going]


def _outputs(result: Any, count: int) -> list[Any]:
    """What a function returned, as Gradio's list; None leaves every output as it is."""
    if result is None:
        return [gr.skip()] * count
    if count == 1 and not isinstance(result, tuple):
        return [result]
    found = list(result)
    if len(found) != count:
        raise ValueError(f"{len(found)} values for {count} outputs")
    return found


def destination(query: Mapping[str, str] | None, done: object = None) -> str:
    """Where to go, as page.js takes it, and the id of the event that is done; with a mark, since
    going there twice is a change too."""
    return json.dumps({"query": query, "done": done, "mark": secrets.token_hex(4)})
