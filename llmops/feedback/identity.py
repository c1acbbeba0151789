"""Names that prove something: inference ids that give the right to rate, users without names.

An inference id is 40 characters of base32hex (lower case; sorts by time): 6 bytes of milliseconds
since 1970, 9 random bytes, and the first 10 bytes of an HMAC-SHA256 over both and the deployment's
name, under the project's secret. Users are kept as HMACs under the same secret.
"""

import base64
import hashlib
import hmac
import os
import time
from dataclasses import dataclass
from pathlib import Path

LENGTH = 40
_PREFIXES = ("chatcmpl-", "cmpl-")


class NotAnId(ValueError):
    """What was given is no inference id of this deployment; says why."""


@dataclass(frozen=True)
class Identity:
    """Ids and users under one project's secret (at least 32 bytes)."""

    secret: bytes

    def new_id(self, deployment: str, now: float | None = None) -> str:
        """An unguessable, signed id. now: seconds since 1970."""
        milliseconds = int((time.time() if now is None else now) * 1000)
        body = milliseconds.to_bytes(6, "big") + os.urandom(9)
        return _text(body + self._mac(body, deployment))

    def time_of(self, text: str, deployment: str) -> float:
        """When the id was made, in seconds since 1970.

        text: as the gateway gave it, with or without OpenAI's prefix. Raises NotAnId.
        """
        plain = bare(text)
        try:
            raw = base64.b32hexdecode(plain.upper())
        except ValueError:
            raw = b""
        if len(plain) != LENGTH or len(raw) != 25:
            raise NotAnId(f"`{text[:80]}` is no inference id")
        if not hmac.compare_digest(raw[15:], self._mac(raw[:15], deployment)):
            raise NotAnId(f"`{text[:80]}` was not given by this deployment")
        return int.from_bytes(raw[:6], "big") / 1000

    def user(self, name: str) -> str:
        """A user, session or rater as it is stored: 32 hexadecimal digits."""
        return hmac.new(self.secret, b"user\0" + name.encode(), hashlib.sha256).hexdigest()[:32]

    def _mac(self, body: bytes, deployment: str) -> bytes:
        text = b"inference\0" + deployment.encode() + b"\0" + body
        return hmac.new(self.secret, text, hashlib.sha256).digest()[:10]


def bare(text: str) -> str:
    """An inference id without the prefix that OpenAI's protocol gives it."""
    for prefix in _PREFIXES:
        text = text.removeprefix(prefix)
    return text


def _text(raw: bytes) -> str:
    return base64.b32hexencode(raw).decode().lower()


def load_identity(path: Path) -> Identity:
    """The project's identity; its secret is made on first use (mode 0600), once, even by several
    processes at a time. LLMOPS_SECRET, at least 32 characters, takes the file's place."""
    from llmops.errors import BadInput

    given = os.environ.get("LLMOPS_SECRET")
    if given:
        if len(given) < 32:
            raise BadInput("LLMOPS_SECRET is too short", fix="give it at least 32 characters")
        return Identity(given.encode())
    try:
        return Identity(bytes.fromhex(path.read_text().strip()))
    except FileNotFoundError:
        pass
    except ValueError:
        raise BadInput(f"{path} is damaged", fix="restore it from a backup") from None
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(handle, os.urandom(32).hex().encode())
        os.fsync(handle)
        os.link(temporary, path)
    except FileExistsError:
        pass
    finally:
        os.close(handle)
        temporary.unlink()
    return load_identity(path)
