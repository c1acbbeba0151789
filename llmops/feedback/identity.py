"""Names that prove something: inference ids that give the right to rate, users without names.

An inference id is 40 characters of base32hex (lower case; sorts by time): 6 bytes of milliseconds
since 1970, 9 random bytes, and the first 10 bytes of an HMAC-SHA256 over both, the deployment's
name and the id's purpose, under the project's secret. Users are kept as HMACs under the same one.
"""

import base64
import hashlib
import hmac
import os
import re
import time
from dataclasses import dataclass
from pathlib import Path

LENGTH = 40
SECRET_BYTES = 32
_PREFIXES = ("chatcmpl-", "cmpl-")
_SHAPE = re.compile(r"[0-9a-v]{40}")


class NotAnId(ValueError):
    """What was given is no inference id of this deployment; says why."""


class Foreign(NotAnId):
    """It looks like an inference id, but another deployment or nobody gave it."""


@dataclass(frozen=True)
class Identity:
    """Ids and users under one project's secret (at least 32 bytes)."""

    secret: bytes

    def new_id(self, deployment: str, now: float | None = None) -> str:
        """An unguessable, signed id. now: seconds since 1970."""
        return self._new("inference", deployment, now)

    def new_group(self, deployment: str) -> str:
        """The id of a comparison: it looks like an inference's, but is no right to rate."""
        return self._new("comparison", deployment, None)

    def _new(self, purpose: str, deployment: str, now: float | None) -> str:
        milliseconds = int((time.time() if now is None else now) * 1000)
        body = milliseconds.to_bytes(6, "big") + os.urandom(9)
        return _text(body + self._mac(purpose, body, deployment))

    def time_of(self, text: str, deployment: str) -> float:
        """When the id was made, in seconds since 1970.

        text: as the gateway gave it, with or without OpenAI's prefix. Raises NotAnId.
        """
        plain = bare(text)
        shown = text[:80].encode("ascii", "replace").decode()
        if not _SHAPE.fullmatch(plain):
            raise NotAnId(f"`{shown}` is no inference id")
        raw = base64.b32hexdecode(plain.upper())
        if hmac.compare_digest(raw[15:], self._mac("comparison", raw[:15], deployment)):
            raise NotAnId(f"`{shown}` is a comparison of two answers: rate its `inference_ids`")
        if not hmac.compare_digest(raw[15:], self._mac("inference", raw[:15], deployment)):
            raise Foreign(f"`{shown}` was not given by this deployment")
        return int.from_bytes(raw[:6], "big") / 1000

    def user(self, name: str) -> str:
        """A user, session or rater as it is stored: 32 hexadecimal digits."""
        return hmac.new(self.secret, b"user\0" + name.encode(), hashlib.sha256).hexdigest()[:32]

    def _mac(self, purpose: str, body: bytes, deployment: str) -> bytes:
        text = f"{purpose}\0{deployment}\0".encode() + body
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
    processes at a time. LLMOPS_SECRET, at least 32 characters, takes the file's place.

    Raises BadInput for a secret that is too short, damaged or open to everybody, Failed when the
    file can be neither read nor made.
    """
    from llmops.errors import BadInput, Failed
    from llmops.spec.source import display
    from llmops.store.atomic import create_text

    given = os.environ.get("LLMOPS_SECRET")
    if given:
        if len(given) < SECRET_BYTES:
            raise BadInput("LLMOPS_SECRET is too short", fix="give it at least 32 characters")
        return Identity(given.encode("utf-8", "surrogateescape"))
    try:
        secret = _read(path)
        if secret is None:
            create_text(path, os.urandom(SECRET_BYTES).hex())
            secret = _read(path)
    except (OSError, Failed) as error:
        why = error.what if isinstance(error, Failed) else error.strerror or error
        raise Failed(
            f"the project's secret can be neither read nor made: {why}",
            where=display(path),
            fix="check the permissions of the project's directory, or set LLMOPS_SECRET",
        ) from error
    if secret is None or len(secret) < SECRET_BYTES:
        raise BadInput(
            "the project's secret is damaged",
            where=display(path),
            fix="restore it from a backup; without it no earlier answer can be rated",
        )
    return Identity(secret)


def _read(path: Path) -> bytes | None:
    """The secret; None when there is no file, empty when it is damaged."""
    from llmops.errors import BadInput
    from llmops.spec.source import display

    try:
        with path.open(encoding="ascii", errors="replace") as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.read()
    except FileNotFoundError:
        return None
    if mode & 0o007:
        raise BadInput(
            "everybody on this machine can read or change the project's secret",
            where=display(path),
            fix=f"chmod 600 {display(path)}",
        )
    try:
        return bytes.fromhex(text.strip())
    except ValueError:
        return b""
