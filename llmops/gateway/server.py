"""The gateway's process: sockets, uvicorn, signals.

SIGTERM (or Ctrl-C) stops it gracefully: no new connections, answers under way may end within the
drain time, then the journal is flushed and the exit code is 0. Clients that are still waiting
then get an error event.
"""

import contextlib
import gc
import logging
import os
import resource
import signal
import socket
import sys
from pathlib import Path
from typing import Any

from llmops.errors import BadInput, Failed
from llmops.gateway.app import App
from llmops.gateway.options import Options
from llmops.store import logs

KEEP_ALIVE_SECONDS = 75
BACKLOG = 2048


def run(options: Options) -> None:
    """Serve until told to stop. Raises BadInput when the place to listen at is taken, and Failed
    when the gateway cannot start."""
    import uvicorn

    _log()
    listening = _listen(options)
    config = uvicorn.Config(
        App(options),
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=options.drain,  # type: ignore[arg-type]  # parts of a second too
    )
    server = uvicorn.Server(config)
    listening.listen(BACKLOG)  # so that who reads the next line can connect at once
    print(f"llmops gateway of {options.deployment} at {_shown(listening)}", flush=True)
    _tune()
    # Before uvicorn takes the signals, and after it is done, when it raises the one that stopped it
    # once more: a clean end.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    try:
        server.run(sockets=[listening])
    finally:
        if options.uds is not None:
            options.uds.unlink(missing_ok=True)
    if not server.started:
        raise Failed(f"the gateway of `{options.deployment}` did not start; its log says why")


def _listen(options: Options) -> socket.socket:
    if options.uds is not None:
        return _listen_uds(options.uds)
    try:
        found = socket.getaddrinfo(
            options.host, options.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(found[0], socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(found[4])
    except OSError as error:
        place = f"{options.host}:{options.port}"
        raise BadInput(f"{place} cannot be listened at: {error.strerror or error}") from None
    listening.set_inheritable(True)
    return listening


def _listen_uds(path: Path) -> socket.socket:
    """Bind a socket that only this user can reach; a stale one is replaced."""
    with socket.socket(socket.AF_UNIX) as probe, contextlib.suppress(OSError):
        probe.connect(str(path))
        raise BadInput(f"the socket {path} is in use", fix="stop that, or choose another path")
    if path.is_socket():
        path.unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX)
    before = os.umask(0o177)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        listening.bind(str(path))
    except OSError as error:
        raise BadInput(f"{path} cannot be listened at: {error.strerror or error}") from None
    finally:
        os.umask(before)
    return listening


def _shown(listening: socket.socket) -> str:
    name: Any = listening.getsockname()
    if listening.family == socket.AF_UNIX:
        return f"unix:{name}"
    host = f"[{name[0]}]" if ":" in name[0] else name[0]
    return f"http://{host}:{name[1]}"


def _log() -> None:
    """Plain lines on standard error; of uvicorn what is a defect: that a client sends nonsense is
    the client's problem, and would be a line for each."""
    logs.set_up("gateway")
    for name, level in (("llmops.gateway", logging.WARNING), ("uvicorn", logging.ERROR)):
        logger = logging.getLogger(name)
        logger.handlers = [logs.handler()]
        logger.setLevel(level)
        logger.propagate = False


def _tune() -> None:
    """As many connections as the system gives, and a collector that does not look at what stays:
    modules and grammars."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
