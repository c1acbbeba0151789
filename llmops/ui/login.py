"""Who uses the UI: nobody in particular on loopback, else whoever holds an API key.

The key alone is asked for; control says whose it is (GET /whoami), and every later request carries
it, so its scopes hold here too. A session is a cookie that no script reads. Keys stay in the memory
of this process, each with its own session: one that is revoked is not healed by its successor.
"""

import hashlib
import secrets
import time
from collections import OrderedDict
from collections.abc import MutableMapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode

from llmops.ui.client import Client, Problem
from llmops.ui.markup import Html, tag
from llmops.ui.panel import trouble

if TYPE_CHECKING:
    from fastapi import FastAPI

STYLE = Path(__file__).with_name("login.css")
IDLE_SECONDS = 12 * 3600.0
MOST = 1_000
SESSION = "llmops.session"
"""Of a request's scope: whose it is."""
_OPEN = ("/login", "/healthz")
_FORM_BYTES = 10_000
Scope = MutableMapping[str, Any]


@dataclass
class Session:
    """ends: on the monotonic clock; later with each request."""

    key: str
    ends: float


class Sessions:
    """Of those who logged in, by the digest of their cookie, which is a name that opens nothing;
    those not used for longest go first. required: whether anyone has to log in."""

    def __init__(self, client: Client, *, required: bool) -> None:
        self.client = client
        self.required = required
        self._found: OrderedDict[str, Session] = OrderedDict()

    async def begin(self, key: str) -> str:
        """The cookie of whoever holds that key. Raises Problem when control knows no such key, or
        does not answer."""
        if not key or not key.isascii() or not key.isprintable():
            raise Problem("that is no API key")
        await self.client.api(key).get("/whoami")
        cookie = secrets.token_urlsafe(32)
        self._found[_digest(cookie)] = Session(key, time.monotonic() + IDLE_SECONDS)
        while len(self._found) > MOST:
            self._found.popitem(last=False)
        return cookie

    def name(self, cookie: str) -> str | None:
        """The session of that cookie, which is used; None for one that is over or none."""
        name = _digest(cookie)
        if self._live(name) is None:
            return None
        self._found[name].ends = time.monotonic() + IDLE_SECONDS
        self._found.move_to_end(name)
        return name

    def end(self, cookie: str) -> None:
        self._found.pop(_digest(cookie), None)

    def key(self, name: str | None) -> str | None:
        """The key of a session; None where nobody has to log in. Raises Problem once it is over."""
        if not self.required:
            return None
        found = self._live(name or "")
        if found is None:
            raise Problem("you are logged out", fix="load the page again, and log in")
        return found.key

    def _live(self, name: str) -> Session | None:
        found = self._found.get(name)
        return found if found is not None and time.monotonic() < found.ends else None


def _digest(cookie: str) -> str:
    return hashlib.sha256(cookie.encode()).hexdigest()


class LoggedIn:
    """Lets nothing through but the login to who has no session; notes whose a request is."""

    def __init__(self, app: Any, *, sessions: Sessions) -> None:
        self.app = app
        self.sessions = sessions

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        from starlette.responses import PlainTextResponse, RedirectResponse

        if scope["type"] == "lifespan" or scope.get("path") in _OPEN:
            await self.app(scope, receive, send)
            return
        name = self.sessions.name(_cookie(scope))
        if name is not None:
            await self.app({**scope, SESSION: name}, receive, send)
        elif scope.get("method") == "GET" and scope["path"] == "/":
            asked = scope["query_string"].decode("latin-1")
            to = "login" + (f"?{urlencode({'then': asked})}" if asked else "")
            await RedirectResponse(to, 303)(scope, receive, send)
        else:
            await PlainTextResponse("log in first\n", 401)(scope, receive, send)


def add_login(app: "FastAPI", sessions: Sessions) -> None:
    """Add the pages to log in and out, before which nothing else is shown."""
    from fastapi import Request
    from fastapi.responses import HTMLResponse, RedirectResponse, Response

    @app.get("/login")
    async def form(request: Request) -> Response:
        return HTMLResponse(_page(request.query_params.get("then", "")), headers=_HEADERS)

    @app.post("/login")
    async def login(request: Request) -> Response:
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > _FORM_BYTES:
                return Response(status_code=413)
        said = parse_qs(body.decode("latin-1"))
        then = said.get("then", [""])[0]
        try:
            token = await sessions.begin(said.get("key", [""])[0].strip())
        except Problem as problem:
            status = 503 if problem.status == 0 and problem.code else 403
            return HTMLResponse(_page(then, problem), status_code=status, headers=_HEADERS)
        answer = RedirectResponse("./" + (f"?{then}" if then else ""), 303)
        secure = request.url.scheme == "https"
        answer.set_cookie(_name(request.scope), token, httponly=True, samesite="lax", secure=secure)
        return answer

    @app.post("/logout")
    async def logout(request: Request) -> Response:
        sessions.end(_cookie(request.scope))
        answer = RedirectResponse("login", 303)
        answer.delete_cookie(_name(request.scope))
        return answer

    app.add_middleware(LoggedIn, sessions=sessions)


def _name(scope: Scope) -> str:
    """Of the cookie: browsers do not tell the ports of a host apart."""
    return f"llmops-session-{(scope.get('server') or ('', 0))[1]}"


def _cookie(scope: Scope) -> str:
    for key, value in scope["headers"]:
        if key == b"cookie":
            try:
                found = SimpleCookie(value.decode("latin-1")).get(_name(scope))
            except CookieError:
                continue
            if found is not None:
                return found.value
    return ""


_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'",
}


def _page(then: str, problem: Problem | None = None) -> str:
    """then: the address bar's query to go on with."""
    key = tag("input", name="key", type="password", required=True, autofocus=True,
              autocomplete="current-password", maxlength=200)  # fmt: skip
    made = tag("code", "llmops keys create NAME --scope run")
    form = tag(
        "form",
        tag("h1", "llmops"),
        trouble(problem) if problem else None,
        tag("label", "API key", key),
        tag("input", type="hidden", name="then", value=then),
        tag("button", "Log in"),
        tag("p", made, " makes one."),
        method="post",
        action="login",
    )
    style = tag("style", Html(STYLE.read_text(encoding="utf-8")))
    view = tag("meta", name="viewport", content="width=device-width, initial-scale=1")
    head = tag("head", Html('<meta charset="utf-8">'), tag("title", "Log in · llmops"), view, style)
    body = tag("body", tag("main", form))
    return "<!doctype html>" + tag("html", head, body, lang="en")
