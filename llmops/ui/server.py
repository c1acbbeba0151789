"""The web UI's process: Gradio on uvicorn, until it is told to stop.

It has no state of its own but who is logged in; when it ends, all else goes on.
"""

import signal
import socket
import sys
from collections.abc import Callable

from llmops.errors import BadInput
from llmops.spec.deployment import is_loopback
from llmops.store.listening import bound, url_of
from llmops.ui.client import Client


def serve(
    control: str | Callable[[], str],
    gateway: str | None,
    host: str,
    port: int,
    on_ready: Callable[[str], None],
) -> None:
    """Serve until SIGINT or SIGTERM. control: its URL, or what finds it; port: 0 for any free one;
    on_ready: is told the URL.

    Raises BadInput for a URL that is none, and when the port is taken.
    """
    import uvicorn

    from llmops.ui.app import create_app

    for given in (control, gateway):
        if isinstance(given, str) and not given.startswith(("http://", "https://")):
            raise BadInput(f"`{given}` is not a URL", fix="such as http://127.0.0.1:8700")
    listening = bound(host, port)
    loopback = is_loopback(host)
    # uvicorn raises the signal that stopped it once more, when it is done: that is an end in order.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    url = url_of(listening)

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                on_ready(url)

    app = create_app(Client(control, gateway), login=not loopback, loopback=loopback)
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, timeout_graceful_shutdown=2, lifespan="on"
    )
    Server(config).run(sockets=[listening])
