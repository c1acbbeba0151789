"""API keys of gateways and the control API: `.llmops/keys.json`, hashes with a name and scopes.

`llmops keys` writes the file; gateways read it, and follow it, so that a revoked key stops working
at once. A key is 32 random bytes, so its plain sha256 tells nothing about it and a slow hash would
only slow requests down. Users are not keys: one key may speak for many users.
"""

import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, get_args

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError, field_validator

from llmops.errors import BadInput, Failed
from llmops.spec.grammar import Spec
from llmops.spec.reference import NAME
from llmops.spec.source import display
from llmops.spec.suggest import did_you_mean
from llmops.store.atomic import write_json
from llmops.store.paths import ProjectPaths

if TYPE_CHECKING:
    from filelock import FileLock

Scope = Literal["chat", "read", "run", "promote", "override", "push", "delete", "admin"]
"""chat: of gateways; the others of the control API (llmops/control/access.py)."""
SCOPES: tuple[Scope, ...] = get_args(Scope)
OF_MODELS: tuple[Scope, ...] = ("promote", "override", "push", "delete")
"""May be given for one model alone: `promote:town`."""
PREFIX = "llmops_"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


def _scope(text: str) -> str:
    """Raises ValueError for what is no scope."""
    scope, colon, model = text.partition(":")
    if scope not in SCOPES:
        raise ValueError(f"there is no scope `{scope}`")
    if colon and (scope not in OF_MODELS or not re.fullmatch(NAME, model)):
        raise ValueError(f"`{text}` is no scope: {', '.join(OF_MODELS)} may name a model")
    return text


class ApiKey(Spec):
    """What is kept of a key. scopes: SCOPE, or SCOPE:MODEL; hash: sha256 of the whole key, in
    hexadecimal; created, revoked: ISO 8601, UTC."""

    name: str
    scopes: list[Annotated[str, AfterValidator(_scope)]]
    hash: str = Field(pattern=r"^[0-9a-f]{64}$")
    created: str
    revoked: str | None = None

    @field_validator("scopes", mode="before")
    @classmethod
    def _that_there_are(cls, value: object) -> object:
        """Keys were made for `feedback` once; it allowed nothing, for rating needs no key."""
        return [s for s in value if s != "feedback"] if isinstance(value, list) else value

    def allows(self, scope: Scope, model: str = "") -> bool:
        """Whether it may be used for `scope`, of `model`; `admin` may do all."""
        enough = {scope, f"{scope}:{model}", "admin"}
        return self.revoked is None and not enough.isdisjoint(self.scopes)


_KEYS = TypeAdapter(list[ApiKey])


def create_key(paths: ProjectPaths, name: str, scopes: Sequence[str]) -> str:
    """Make a key and keep its hash; the key itself is returned here and nowhere else.

    Raises BadInput for a name that is in use or none, for no scope and an unknown one.
    """
    if not _NAME.fullmatch(name):
        raise BadInput(
            f"`{name}` cannot be the name of a key",
            fix="a name is of letters, digits, `.`, `_` and `-`, at most 64",
        )
    for scope in scopes:
        try:
            _scope(scope)
        except ValueError as error:
            raise BadInput(str(error), fix=did_you_mean(scope, SCOPES)) from None
    if not scopes:
        raise BadInput("a key needs a scope", fix=f"one or more of: {', '.join(SCOPES)}")
    with _locked(paths):
        keys = list_keys(paths)
        if any(key.name == name and key.revoked is None for key in keys):
            raise BadInput(
                f"there is a key `{name}` already",
                where=display(paths.keys),
                fix=f"choose another name, or first `llmops keys revoke {name}`",
            )
        text = PREFIX + secrets.token_urlsafe(32)
        wanted = sorted(set(scopes), key=lambda one: (SCOPES.index(one.split(":")[0]), one))
        keys.append(ApiKey(name=name, scopes=wanted, hash=_hash(text), created=_now()))
        _write(paths.keys, keys)
    return text


def list_keys(paths: ProjectPaths) -> list[ApiKey]:
    """All keys, revoked ones too, oldest first. Raises Failed when the file is damaged."""
    try:
        return _KEYS.validate_json(paths.keys.read_bytes())
    except FileNotFoundError:
        return []
    except ValidationError as error:
        raise Failed(
            f"the file of the API keys is damaged: {error.errors()[0]['msg']}",
            where=display(paths.keys),
            fix="restore it from a backup, or remove it and make new keys",
        ) from error


def revoke_key(paths: ProjectPaths, name: str) -> ApiKey:
    """End a key. Raises BadInput when no key that is in use has that name."""
    with _locked(paths):
        keys = list_keys(paths)
        in_use = {key.name: number for number, key in enumerate(keys) if key.revoked is None}
        if name not in in_use:
            raise BadInput(
                f"there is no key `{name}` in use",
                where=display(paths.keys),
                fix=did_you_mean(name, in_use),
            )
        ended = keys[in_use[name]].model_copy(update={"revoked": _now()})
        keys[in_use[name]] = ended
        _write(paths.keys, keys)
    return ended


class KeyRing:
    """The keys as a gateway asks for them; reads the file again whenever it has changed."""

    def __init__(self, paths: ProjectPaths) -> None:
        self._paths = paths
        self._seen: tuple[int, int, int] | None = None
        self._keys: list[ApiKey] = []

    def find(self, text: str) -> ApiKey | None:
        """The key that `text` is, unless it is revoked.

        Takes the same time whichever it is. Raises Failed when the file is damaged: then nobody
        is let in.
        """
        self._follow()
        given = _hash(text)
        found = None
        for key in self._keys:
            if hmac.compare_digest(key.hash, given):
                found = key
        return found if found is not None and found.revoked is None else None

    def _follow(self) -> None:
        try:
            stat = os.stat(self._paths.keys)
            seen = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
        except FileNotFoundError:
            seen = None
        if seen != self._seen:
            self._keys = list_keys(self._paths)
            self._seen = seen


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _write(path: Path, keys: list[ApiKey]) -> None:
    """Mode 0600, as every file that is written by way of a temporary one."""
    write_json(path, [key.model_dump() for key in keys])


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _locked(paths: ProjectPaths) -> "FileLock":
    from filelock import FileLock

    return FileLock(paths.lock("keys"))
