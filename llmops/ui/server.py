"""The web UI's process: Gradio on uvicorn, until it is told to stop.

It has no state of its own but who is logged in; when it ends, all else goes on.
"""

import ipaddress
import signal
import socket
import sys
from collections.abc import Callable

from llmops.errors import BadInput, Failed
from llmops.ui.client import Client


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def serve(
    control: str | Callable[[], str],
    gateway: str | None,
    host: str,
    port: int,
    on_ready: Callable[[str], None],
) -> None:
    """Serve until SIGINT or SIGTERM. control: its URL, or what finds it; port: 0 for any free one;
    on_ready: is told the URL.

    Raises BadInput for a URL that is none, Failed when the port is taken.
    """
    import uvicorn

    from llmops.ui.app import create_app

    for given in (control, gateway):
        if isinstance(given, str) and not given.startswith(("http://", "https://")):
            raise BadInput(f"`{given}` is not a URL", fix="such as http://127.0.0.1:8700")
    bound = _bind(host, port)
    loopback = is_loopback(host)
    # uvicorn raises the signal that stopped it once more, when it is done: that is an end in order.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    shown = f"[{host}]" if ":" in host else host
    url = f"http://{shown}:{bound.getsockname()[1]}"

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                on_ready(url)

    app = create_app(Client(control, gateway), login=not loopback, loopback=loopback)
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, timeout_graceful_shutdown=2, lifespan="on"
    )
    Server(config).run(sockets=[bound])


def _bind(host: str, port: int) -> socket.socket:
    """A listening socket, before anything slow is imported. Raises BadInput, Failed."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
    except (socket.gaierror, OverflowError) as error:
        raise BadInput(f"`{host}:{port}` is no address to listen at") from error
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
        bound.listen(1024)
    except OSError as error:
        bound.close()
        raise Failed(
            f"cannot listen at {host}:{port}: {error.strerror}",
            fix="another `llmops ui` may run there; --port 0 takes any free port",
        ) from error
    bound.set_inheritable(False)
    return bound
