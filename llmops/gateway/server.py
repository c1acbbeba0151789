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

from llmops.errors import BadInput, Failed
from llmops.gateway.app import App
from llmops.gateway.options import Options
from llmops.store import logs
from llmops.store.listening import UVICORN, bound, url_of

BACKLOG = 2048


def run(options: Options) -> None:
    """Serve until told to stop. Raises BadInput when the place to listen at is taken, and Failed
    when the gateway cannot start."""
    import uvicorn

    _log()
    uds = options.uds
    listening = bound(options.host, options.port) if uds is None else _listen_uds(uds)
    config = uvicorn.Config(
        App(options),
        loop="uvloop",
        lifespan="on",
        backlog=BACKLOG,
        timeout_graceful_shutdown=options.drain,  # type: ignore[arg-type]  # parts of a second too
        **UVICORN,
    )
    server = uvicorn.Server(config)
    listening.listen(BACKLOG)  # so that who reads the next line can connect at once
    place = url_of(listening) if uds is None else f"unix:{uds}"
    print(f"llmops gateway of {options.deployment} at {place}", flush=True)
    _tune()
    # Before uvicorn takes the signals, and after it is done, when it raises the one that stopped it
    # once more: a clean end.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    try:
        server.run(sockets=[listening])
    finally:
        if uds is not None:
            uds.unlink(missing_ok=True)
    if not server.started:
        raise Failed(f"the gateway of `{options.deployment}` did not start; its log says why")


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
