"""The Hugging Face Hub, asked through huggingface_hub: by whom, how often, and what its refusals
mean to a user.

The endpoint and the token are the user's own (HF_ENDPOINT, HF_TOKEN, `hf auth login`); the token
is never in a message. huggingface_hub is imported in the functions.
"""

import logging
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from llmops import __version__
from llmops.errors import BadInput, Failed, LlmopsError, NotFound
from llmops.registry.hub.errors import Conflict, HubAway, HubBusy

if TYPE_CHECKING:
    from huggingface_hub import HfApi

T = TypeVar("T")

PUBLIC = "https://huggingface.co"
TRIES = 4
LONGEST_WAIT = 60.0
"""Seconds: a Hub that asks for a longer pause is asked again by the user."""
_TEXT_LIMIT = 64 << 20
"""Bytes of a text that is read into memory: a manifest, a log, a configuration."""
_TRUE = ("1", "ON", "YES", "TRUE")


def endpoint(environ: Mapping[str, str] = os.environ) -> str:
    """Where the user's Hub is."""
    return (environ.get("HF_ENDPOINT") or PUBLIC).rstrip("/")


def host() -> str:
    """The Hub's name for people, without what an address may hold of secrets."""
    return urlsplit(endpoint()).netloc.rpartition("@")[2] or endpoint()


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and text.isprintable()
    except ValueError:
        return False


def hub() -> "HfApi":
    """The client, as this user. Raises HubAway where the user has set it offline, BadInput where
    HF_ENDPOINT is no address."""
    if any(
        os.environ.get(name, "").upper() in _TRUE
        for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
    ):
        raise HubAway(
            "the Hub is not asked: offline mode is set", fix="unset HF_HUB_OFFLINE and try again"
        )
    if not _is_address(endpoint()):  # which may hold a password
        raise BadInput("HF_ENDPOINT is no address of a Hub", fix="such as https://hub.example.org")
    from huggingface_hub import HfApi

    _set_up()
    return HfApi(endpoint=endpoint(), library_name="llmops", library_version=__version__)


def request_headers() -> dict[str, str]:
    """As the client's own requests have them, with the token."""
    from huggingface_hub.utils import build_hf_headers

    return build_hf_headers(library_name="llmops", library_version=__version__)


def small_file(id: str, name: str, commit: str, seconds: float | None = None) -> bytes:
    """A text of the repository ORG/NAME, not kept. seconds: to wait at most for each part of it.

    Raises Failed for more than any such text has, and what the client raises.
    """
    from huggingface_hub import get_session, hf_hub_url
    from huggingface_hub.utils import hf_raise_for_status

    url, found = hf_hub_url(id, name, revision=commit, endpoint=hub().endpoint), bytearray()
    wait: dict[str, Any] = {} if seconds is None else {"timeout": seconds}
    with get_session().stream("GET", url, headers=request_headers(), **wait) as answer:
        hf_raise_for_status(answer)
        for part in answer.iter_bytes():
            found += part
            if len(found) > _TEXT_LIMIT:
                raise Failed(
                    f"`{name}` has more than {_TEXT_LIMIT >> 20} MiB, and is read as a text",
                    fix="look at it there: somebody put something else in its place",
                )
    return bytes(found)


@cache
def _set_up() -> None:
    from huggingface_hub import constants
    from huggingface_hub.utils import disable_progress_bars

    from llmops.registry.hub.session import install

    install()
    disable_progress_bars()
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    constants.HF_HUB_DISABLE_TELEMETRY = True
    # The client takes for granted that a Hub has xet; of mirrors few have it.
    if endpoint() != PUBLIC and "HF_HUB_DISABLE_XET" not in os.environ:
        constants.HF_HUB_DISABLE_XET = True


@contextmanager
def speaking(where: str) -> Iterator[None]:
    """Raises an error for people in the place of any that the client raises in the block. where:
    what is spoken of, such as `hub:org/name@main`."""
    try:
        yield
    except Exception as error:
        told = _told(error, where)
        if told is None:
            raise
        raise told from None  # the client's own may hold the request, with its token


def asked(
    call: Callable[[], T],
    where: str,
    *,
    tries: int = TRIES,
    say: Callable[[str], None] = lambda _: None,
    wait: Callable[[float], None] = time.sleep,
) -> T:
    """What `call` answers, which is tried again while the Hub is busy: after the pause that it asks
    for, else after 1, 2, 4, ... seconds. say: told of each pause. Raises as `speaking`."""
    for turn in range(1, tries + 1):
        try:
            with speaking(where):
                return call()
        except HubBusy as error:
            pause = 2.0 ** (turn - 1) if error.after is None else error.after
            if pause > LONGEST_WAIT:
                error.fix = f"it asks to wait {pause:.0f} s; try again then"
                raise
            if turn == tries:
                raise
            say(f"{error.what}; again in {pause:.0f} s")
            wait(pause)
    raise AssertionError("tried at least once")


def _told(error: BaseException, where: str) -> LlmopsError | None:
    """What the client's error is to a user; None for what is not of the Hub."""
    if isinstance(error, LlmopsError):
        error.where = error.where or where
        error.fix = error.fix or ("try again later" if isinstance(error, HubAway) else "")
        return error
    import httpx2
    from huggingface_hub import errors

    from llmops.registry.hub.session import away

    if isinstance(error, httpx2.TransportError):  # while an answer was read
        return _told(away(error, error.request), where)
    if isinstance(error, errors.HfHubHTTPError):
        return _refusal(error, where)
    cause = error.__cause__
    if isinstance(error, RuntimeError | errors.LocalEntryNotFoundError) and cause is not None:
        return _told(cause, where)  # of a thread that uploads
    # The client's own checks, or an answer that is no Hub's: no JSON, redirected in a circle.
    if isinstance(error, ValueError | RecursionError | httpx2.RequestError):
        return Failed(
            f"the Hub's client refuses: {_plain(str(error))}",
            where=where,
            fix=f"check the name, and that {host()} is a Hub",
        )
    return None


def _refusal(error: "Exception", where: str) -> LlmopsError:
    from huggingface_hub import errors

    assert isinstance(error, errors.HfHubHTTPError)
    status, said = error.response.status_code, _plain(error.server_message or "")
    if isinstance(error, errors.GatedRepoError):
        return Failed(
            "its owners let in whom they know, and this token not",
            where=where,
            fix=f"ask for access on its page at {host()}, with the account of the token",
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return NotFound(f"{host()} has no such revision of it", where=where, fix="see its branches")
    if isinstance(error, errors.EntryNotFoundError):
        return NotFound(f"{host()} has no such file in it", where=where, fix="see its files")
    if status == 401 and ("Invalid credentials" in said or "Invalid user token" in str(error)):
        return Failed(
            f"{host()} does not accept the token",
            where=where,
            fix="log in again: `hf auth login`; HF_TOKEN, where it is set, is taken before that",
        )
    if isinstance(error, errors.RepositoryNotFoundError) or status == 404:
        return NotFound(
            f"{host()} shows no such repository to this user",
            where=where,
            fix="check the name; of a private one: `hf auth login`, or set HF_TOKEN",
        )
    if status == 401:
        return Failed(
            f"{host()} asks who you are", where=where, fix="`hf auth login`, or set HF_TOKEN"
        )
    if status == 403:
        return Failed(
            f"{host()} does not allow it to this token" + (f": {said}" if said else ""),
            where=where,
            fix="use a token that may write there (`hf auth whoami` says whose it is)",
        )
    if status in (409, 412):
        return Conflict(
            f"{host()} has something else there by now" + (f": {said}" if said else ""),
            where=where,
            fix="look again: somebody else was first",
        )
    return Failed(
        f"{host()} answers {status}" + (f": {said}" if said else ""),
        where=where,
        fix="see what it says",
    )


def _plain(text: str) -> str:
    """On one line, without anything that is a token."""
    from huggingface_hub import get_token

    text = " ".join(text.split())
    token = get_token()
    if token:
        text = text.replace(token, "***")
    return re.sub(r"hf_[A-Za-z0-9]{8,}", "***", text)[:300]
