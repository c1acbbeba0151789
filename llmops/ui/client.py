"""The UI's only way to the rest: HTTP to the control API and to a gateway.

Whatever goes wrong is a Problem with words for a person. Nothing here reads the project's files.
"""

import asyncio
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

import httpx

FRESH_SECONDS = 0.5
"""So old may be what many pages that look at the same are told (`Api.shared`)."""
READ_SECONDS = 15.0
WORK_SECONDS = 120.0
"""For what plans, checks or starts something."""


class Problem(Exception):
    """what: one sentence. where, fix: as in the errors of the command line. status: of HTTP, 0
    when nobody answered. code: for programs."""

    def __init__(
        self, what: str, *, where: str = "", fix: str = "", status: int = 0, code: str = ""
    ) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.fix = fix
        self.status = status
        self.code = code


class Client:
    """control: the URL of the control API, or what finds it, asked each time, since it may come
    back elsewhere; gateway: of the gateway to chat through, or None to use the one of a deployment
    that runs. One for the process."""

    def __init__(self, control: str | Callable[[], str], gateway: str | None = None) -> None:
        self._control = control
        self.gateway = gateway.rstrip("/") if gateway else None
        self.remembered: dict[Any, tuple[float, asyncio.Future[Any]]] = {}
        self._http: httpx.AsyncClient | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def control(self) -> str:
        found = self._control if isinstance(self._control, str) else self._control()
        return found.rstrip("/")

    @property
    def http(self) -> httpx.AsyncClient:
        """The connections, shared by all who look; of the running event loop. Never through a
        proxy of the environment: both far sides are the project's own."""
        loop = asyncio.get_running_loop()
        if self._http is None or self._loop is not loop:
            limits = httpx.Limits(max_connections=200, max_keepalive_connections=40)
            self._http = httpx.AsyncClient(timeout=READ_SECONDS, limits=limits, trust_env=False)
            self._loop = loop
            self.remembered.clear()
        return self._http

    async def close(self) -> None:
        if self._http is not None:
            await self._http.aclose()
            self._http = None

    def api(self, key: str | None = None) -> "Api":
        return Api(self, key)


class Api:
    """The control API as one person sees it. key: theirs, sent along with every request."""

    def __init__(self, client: Client, key: str | None) -> None:
        self.client = client
        self.key = key

    @property
    def headers(self) -> dict[str, str]:
        """Who asks; for the gateway as well."""
        return {"Authorization": f"Bearer {self.key}"} if self.key else {}

    async def get(self, path: str, **params: Any) -> Any:
        """The JSON at a path. params that are None or empty are left out. Raises Problem."""
        asked = {k: v for k, v in params.items() if v is not None and v != ""}
        return await self._ask("GET", path, READ_SECONDS, params=asked)

    async def shared(self, path: str, **params: Any) -> Any:
        """The same, asked once for all pages that ask it within FRESH_SECONDS: for what is asked
        again and again. The answer is everyone's: it is not to be changed. Raises Problem."""
        now = time.monotonic()
        known = self.client.remembered
        name = (self.key, path, tuple(sorted(params.items())))
        if name not in known or now - known[name][0] > FRESH_SECONDS:
            for old in [one for one, (at, _) in known.items() if now - at > READ_SECONDS]:
                del known[old]
            known[name] = (now, asyncio.ensure_future(self.get(path, **params)))
        return await asyncio.shield(known[name][1])

    async def post(self, path: str, body: Any = None) -> Any:
        """POST JSON; asked again once if the connection broke, under the same idempotency key, so
        that nothing is begun twice. Raises Problem."""
        once = {"Idempotency-Key": uuid.uuid4().hex}
        request = {"json": {} if body is None else body, "headers": once}
        try:
            return await self._ask("POST", path, WORK_SECONDS, **request)
        except Problem as problem:
            if problem.code != "broken":
                raise
            return await self._ask("POST", path, WORK_SECONDS, **request)

    async def put(self, path: str, body: Any) -> Any:
        """PUT JSON. Raises Problem."""
        return await self._ask("PUT", path, WORK_SECONDS, json=body)

    async def _ask(
        self,
        method: str,
        path: str,
        seconds: float,
        headers: Mapping[str, str] | None = None,
        **request: Any,
    ) -> Any:
        if any(part in (".", "..") for part in path.split("/")):
            raise Problem("there is no such page", status=404)
        if method != "GET":
            self.client.remembered.clear()
        control = self.client.control
        try:
            response = await self.client.http.request(
                method,
                control + path,
                timeout=seconds,
                headers={**self.headers, **(headers or {})},
                **request,
            )
        except httpx.HTTPError as error:
            raise unreachable(error, "control", control) from error
        if response.is_success:
            return _json(response)
        raise problem_of(response)


def segment(name: str) -> str:
    """A name as one segment of a path: whatever it holds, it leads nowhere else."""
    return quote(name, safe="")


def unreachable(error: httpx.HTTPError, who: str, url: str) -> Problem:
    """Nobody answered. who: control, or the gateway."""
    fix = "llmops control" if who == "control" else "llmops serve DEPLOYMENT"
    if isinstance(error, httpx.ConnectError):
        return Problem(
            f"{who} does not answer at {url}", fix=f"is it running? start it: {fix}", code="away"
        )
    if isinstance(error, httpx.TimeoutException):
        return Problem(f"{who} at {url} took too long to answer", fix="try again", code="slow")
    return Problem(f"the connection to {who} at {url} broke", fix="try again", code="broken")


def problem_of(response: httpx.Response) -> Problem:
    """The problem+json of a response that is no success, or as much as can be said without."""
    found: Any = None
    try:
        found = response.json()
    except ValueError:
        found = None
    if not isinstance(found, dict):
        found = {}
    return Problem(
        str(found.get("detail") or found.get("title") or f"it answered {response.status_code}"),
        where=str(found.get("where") or ""),
        fix=str(found.get("fix") or ""),
        status=response.status_code,
        code=str(found.get("code") or ""),
    )


def _json(response: httpx.Response) -> Any:
    if response.status_code == 204 or not response.content:
        return {}
    try:
        return response.json()
    except ValueError as error:
        raise Problem(
            f"{response.request.url} answered with something that is not JSON",
            fix="is that the control API? see --control",
            status=response.status_code,
        ) from error
