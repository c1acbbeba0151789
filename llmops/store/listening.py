"""Where a server of this project listens, and what each asks of uvicorn."""

import socket
from typing import Any

from llmops.errors import BadInput

UVICORN: dict[str, Any] = {
    "http": "httptools",
    "ws": "none",
    "access_log": False,
    "log_config": None,
    "server_header": False,
    "proxy_headers": False,
    "timeout_keep_alive": 75,
}


def bound(host: str, port: int) -> socket.socket:
    """A TCP socket that does not listen yet. port: 0 for any that is free. Raises BadInput when
    the place is taken, or is none."""
    found = None
    try:
        kind, place = socket.SOCK_STREAM, (host, port)
        family, *how, _, address = socket.getaddrinfo(*place, type=kind, flags=socket.AI_PASSIVE)[0]
        found = socket.socket(family, *how)  # with its protocol: asyncio sets TCP_NODELAY
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(address)
    except (socket.gaierror, OverflowError) as error:
        raise BadInput(
            f"{host}:{port} is no address to listen at",
            fix="name this machine, by a name or an address of its own: 127.0.0.1, 0.0.0.0",
        ) from error
    except OSError as error:
        if found is not None:
            found.close()
        raise BadInput(
            f"{host}:{port} cannot be listened at: {error.strerror or error}",
            fix="stop what listens there, or choose another port (0: any that is free)",
        ) from None
    return found


def url_of(listening: socket.socket) -> str:
    """Where such a socket is reached."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
