"""Where a server listens: whether the place is free, and who holds it when it is not.

vLLM binds its port with SO_REUSEPORT, so two servers would share one silently: it is checked
before the start. Between the check and the start another process can still take it; then the
server's own error is what the user sees.
"""

import contextlib
import os
import socket
from dataclasses import dataclass, replace
from pathlib import Path

from llmops.errors import BadInput
from llmops.serving.endpoint import Endpoint
from llmops.spec.deployment import Listen, is_loopback

HOST = "127.0.0.1"
LONGEST_SOCKET_PATH = 107  # bytes; sun_path of Linux, without its final NUL
_LISTENING = "0A"


@dataclass(frozen=True)
class Place:
    """A port on a host (0: any free one), or a Unix socket."""

    host: str = HOST
    port: int = 0
    uds: Path | None = None

    @classmethod
    def of(cls, listen: Listen, root: Path) -> "Place":
        """What a deployment says; a relative socket lies below the project's root."""
        uds = (root / listen.uds).absolute() if listen.uds else None
        return cls(listen.host, listen.port, uds)

    @property
    def endpoint(self) -> Endpoint:
        """How a client on this machine reaches it."""
        if self.uds is not None:
            return Endpoint("http://localhost", str(self.uds))
        host = {"0.0.0.0": HOST, "::": "::1", "": HOST}.get(self.host, self.host)
        return Endpoint(f"http://{f'[{host}]' if ':' in host else host}:{self.port}")

    @property
    def is_private(self) -> bool:
        """Whether only this machine reaches it."""
        return self.uds is not None or is_loopback(self.host)

    def claim(self) -> "Place":
        """The place with its port decided, once it is known to be free. Raises BadInput."""
        if self.uds is None:
            return replace(self, port=claim_port(self.port, self.host))
        claim_socket(self.uds)
        return self


def private_place(socket_path: Path) -> Place:
    """A Unix socket, or a free loopback port where its path would be too long."""
    if len(os.fsencode(socket_path.absolute())) <= LONGEST_SOCKET_PATH:
        return Place(uds=socket_path.absolute())
    return Place()


def claim_port(port: int, host: str = HOST) -> int:
    """The port itself when it is free; any free one for 0. Raises BadInput when it is in use."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except PermissionError:
            raise BadInput(f"port {port} needs privileges", fix="use one above 1023") from None
        except socket.gaierror as error:
            raise BadInput(f"{host} is no address of this machine: {error.strerror}") from None
        except OSError as error:
            who = holder(port)
            if not who and _is_free(port):
                raise BadInput(f"cannot listen on {host}: {error.strerror}") from None
            raise BadInput(
                f"port {port} is in use" + (f" by {who}" if who else ""),
                fix="stop that, or choose another one: --port N (0: any free one)",
            ) from None
        return int(probe.getsockname()[1])


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def claim_socket(path: Path) -> None:
    """Make way for a Unix socket: a stale one is removed. Raises BadInput when it is in use."""
    if len(os.fsencode(path)) > LONGEST_SOCKET_PATH:
        raise BadInput(
            f"the path of the Unix socket is longer than {LONGEST_SOCKET_PATH} bytes: {path}",
            fix="set listen.uds to a shorter one",
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        return
    if not path.is_socket():
        raise BadInput(f"{path} exists and is no socket", fix="set listen.uds to another path")
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            path.unlink(missing_ok=True)
            return
    raise BadInput(f"the socket {path} is in use", fix="stop that, or set listen.uds to another")


def holder(port: int) -> str:
    """`process N (its command)` that listens on a port; empty where it cannot be found out."""
    inodes = _listening_inodes(port)
    for folder in Path("/proc").glob("[0-9]*") if inodes else ():
        with contextlib.suppress(OSError):
            for link in (folder / "fd").iterdir():
                if os.readlink(link) in inodes:
                    command = (folder / "cmdline").read_bytes().replace(b"\0", b" ")
                    shown = command.decode(errors="replace").strip()
                    return f"process {folder.name} ({shown[:80]})"
    return ""


def _listening_inodes(port: int) -> set[str]:
    """The sockets that listen on a TCP port, as /proc/PID/fd names them."""
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                fields = line.split()
                local, state, inode = fields[1], fields[3], fields[9]
                if state == _LISTENING and int(local.rpartition(":")[2], 16) == port:
                    found.add(f"socket:[{inode}]")
    return found
