"""Who may ask the API what.

On loopback nobody needs a key: whoever is on this machine can use the command just as well (what a
browser's pages may do there is in browsers.py). Elsewhere every request but the health
checks and the signed hooks carries `Authorization: Bearer KEY`, a key of `llmops keys`, whose scope
covers what is asked:

read       runs, models, schedules, declarations, what people asked and said
run        plans, runs, declarations, schedules, deployments; and what `read` covers
promote    aliases and approvals; and what `read` covers
admin      everything, and alone: taking the log away, forgetting a user
"""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from llmops.control.problems import Refused
from llmops.feedback.keys import SCOPES, ApiKey, KeyRing, Scope
from llmops.store.paths import ProjectPaths

_IMPLIED_BY: dict[Scope, tuple[Scope, ...]] = {"read": ("run", "promote")}
_bearer = HTTPBearer(auto_error=False, description="a key of `llmops keys`; none on loopback")


@dataclass(frozen=True)
class Caller:
    """Who asks. name: of the key, or `local`; owner: whose idempotency keys they are."""

    name: str
    scopes: tuple[str, ...]

    @property
    def by(self) -> str:
        """For the record."""
        return f"api:{self.name}"


class Access:
    """needed: whether a key is asked for."""

    def __init__(self, paths: ProjectPaths, needed: bool) -> None:
        self.needed = needed
        self._ring = KeyRing(paths)

    def caller(self, key: str | None, scope: Scope) -> Caller:
        """Raises Refused (401, 403). A key that is shown must be good even where none is needed."""
        if key is None:
            if not self.needed:
                return Caller("local", SCOPES)
            raise Refused(
                401,
                "key_needed",
                "an API key is needed: `Authorization: Bearer KEY`",
                fix="`llmops keys create NAME --scope read` makes one",
                www_authenticate="Bearer",
            )
        found = self._ring.find(key)
        if found is None:
            what = "the API key is not known, or was revoked"
            raise Refused(401, "key_unknown", what, www_authenticate="Bearer")
        if not would_do(found, scope):
            raise Refused(
                403,
                "scope_missing",
                f"the API key `{found.name}` has no scope `{scope}`",
                fix=f"it has: {', '.join(found.scopes)}",
            )
        return Caller(found.name, _scopes(found))


def would_do(key: ApiKey, scope: Scope) -> bool:
    """Whether a key covers `scope`, by itself or by what it implies."""
    return any(key.allows(one) for one in (scope, *_IMPLIED_BY.get(scope, ())))


def _scopes(key: ApiKey) -> tuple[str, ...]:
    return SCOPES if "admin" in key.scopes else tuple(key.scopes)


def may(scope: Scope) -> Any:
    """What a route, or a file of routes, depends on: a caller that may do what `scope` covers."""

    def check(
        request: Request,
        shown: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
    ) -> Caller:
        access: Access = request.app.state.access
        if shown is None and request.headers.get("authorization"):
            what = "only `Authorization: Bearer KEY` is understood"
            raise Refused(401, "key_unknown", what, www_authenticate="Bearer")
        return access.caller(shown.credentials if shown else None, scope)

    return Depends(check)


Reader = Annotated[Caller, may("read")]
Runner = Annotated[Caller, may("run")]
Promoter = Annotated[Caller, may("promote")]
Admin = Annotated[Caller, may("admin")]
