"""The web UI as an ASGI application: the header, the tabs, the router.

A tab is one module with `build(ui)`, and one line in TABS.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

from llmops.ui.client import Client
from llmops.ui.login import SESSION, Sessions, add_login
from llmops.ui.markup import Html, tag

if TYPE_CHECKING:
    from fastapi import FastAPI

TABS = (
    ("home", "Home", "llmops.ui.home"),
    ("train", "Train", "llmops.ui.train"),
    ("runs", "Runs", "llmops.ui.runs"),
    ("chat", "Chat", "llmops.ui.chat"),
    ("feedback", "Feedback", "llmops.ui.feedback"),
    ("models", "Models", "llmops.ui.models"),
    ("experiments", "Experiments", "llmops.ui.experiments"),
    ("schedules", "Schedules", "llmops.ui.schedules"),
)
"""id (in links: ?tab=ID), title, module."""
_HEAD = '<meta name="color-scheme" content="light dark">'


def create_app(client: Client, *, login: bool = False, loopback: bool = True) -> "FastAPI":
    """login: ask for an API key; loopback: bound to this machine alone."""
    from fastapi import FastAPI

    from llmops.ui.assets import QuickAssets
    from llmops.ui.download import Tickets, add_downloads
    from llmops.ui.origin import OwnPagesOnly
    from llmops.ui.theme import theme

    mount = _gradio().mount_gradio_app
    sessions = Sessions(client, required=login)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await client.close()

    app = FastAPI(lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/healthz")
    def healthz() -> dict[str, str]:
        return {"status": "ok"}

    tickets = Tickets()
    add_downloads(app, client, tickets)
    app.add_middleware(QuickAssets, loopback=loopback)
    if login:
        add_login(app, sessions)
    app.add_middleware(OwnPagesOnly, loopback=loopback)
    served: FastAPI = mount(
        app,
        _blocks(client, sessions, tickets),
        "/",
        theme=theme(),
        head=_HEAD,
        footer_links=[],
        run_history=False,
        enable_monitoring=False,
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
        app_kwargs={"openapi_url": None},
        show_error=False,
        allowed_paths=[],
        max_file_size=1,
        auth_dependency=(lambda request: request.scope.get(SESSION)) if login else None,
    )
    return served


def _gradio() -> Any:
    """Gradio, which reads these when it is imported; nothing of it asks the network."""
    import os

    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    for name in ("GRADIO_ALLOWED_PATHS", "GRADIO_SHARE", "GRADIO_MCP_SERVER"):
        os.environ.pop(name, None)
    import gradio

    return gradio


def _blocks(client: Client, sessions: Sessions, tickets: Any) -> Any:
    import gradio as gr

    from llmops.ui.frame import Ui
    from llmops.ui.router import add_router

    ui = Ui(client, sessions, tickets)
    with gr.Blocks(title="llmops", analytics_enabled=False, fill_width=True) as blocks:
        gr.HTML(_header(sessions.required), elem_id="llmops-header")
        with gr.Tabs(elem_id="llmops-tabs", overflow_behavior="wrap"):
            for name, title, module in TABS:
                with gr.Tab(title, id=name, elem_id=f"tab-{name}"):
                    ui.begin(name)
                    import_module(module).build(ui)
        add_router(ui.router, [one[0] for one in TABS], ui.ticks, ui.listeners)
    for block in blocks.blocks.values():
        if isinstance(block, gr.HTML):
            block.apply_default_css = False  # the style sheets say how it looks
    return blocks


def _header(login: bool) -> Html:
    mark = tag("span", class_="ll-mark", aria_hidden="true")
    brand = tag("a", mark, "llmops", class_="ll-brand", href="?tab=home")
    leave = tag("button", "Log out", class_="ll-button ll-plain")
    out = tag("form", leave, method="post", action="logout") if login else None
    return tag("header", brand, out, class_="ll-header")
