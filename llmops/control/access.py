"""Who may ask the API what.

On loopback nobody needs a key: whoever is on this machine can use the command just as well (what a
browser's pages may do there is in browsers.py). Elsewhere every request but the health
checks and the signed hooks carries `Authorization: Bearer KEY`, a key of `llmops keys`, whose scope
covers what is asked:

read       runs, models, schedules, declarations, what people asked and said
run        plans, runs, declarations, schedules, deployments; and what `read` covers
promote    aliases, on evidence, and approvals; and what `read` covers
override   aliases without the evidence that is asked for; and what `promote` covers
push       what goes to the Hub and comes from it; and what `read` covers
delete     deleting versions, and giving space back; and what `read` covers
admin      everything, and alone: taking the log away, forgetting a user

`promote:town` is `promote` of the model town and of no other; so are override, push and delete.
"""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from llmops.control.problems import Refused
from llmops.feedback.keys import OF_MODELS, SCOPES, ApiKey, KeyRing, Scope
from llmops.store.paths import ProjectPaths

_IMPLIED_BY: dict[Scope, tuple[Scope, ...]] = {"promote": ("override",)}
_bearer = HTTPBearer(auto_error=False, description="a key of `llmops keys`; none on loopback")


@dataclass(frozen=True)
class Caller:
    """Who asks. name: of the key, or `local`; owner: whose idempotency keys they are."""

    name: str
    scopes: tuple[str, ...]
    key: ApiKey | None = None

    @property
    def by(self) -> str:
        """For the record."""
        return f"api:{self.name}"

    def must(self, scope: Scope, model: str) -> None:
        """Raises Refused when it may not do that too."""
        if self.key is not None and not would_do(self.key, scope, model):
            raise _missing(self.key, scope, model)


class Access:
    """needed: whether a key is asked for."""

    def __init__(self, paths: ProjectPaths, needed: bool) -> None:
        self.needed = needed
        self._ring = KeyRing(paths)

    def caller(self, key: str | None, scope: Scope, model: str = "") -> Caller:
        """model: that the request is about. Raises Refused (401, 403). A key that is shown must be
        good even where none is needed."""
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
        if not would_do(found, scope, model):
            raise _missing(found, scope, model)
        return Caller(found.name, _scopes(found), found)


def would_do(key: ApiKey, scope: Scope, model: str = "") -> bool:
    """Whether a key covers `scope` of `model`, by itself or by what it implies."""
    if scope == "read" and key.revoked is None:
        has = {one.partition(":")[0] for one in key.scopes}
        return not has.isdisjoint(("read", "run", "admin", *OF_MODELS))
    return any(key.allows(one, model) for one in (scope, *_IMPLIED_BY.get(scope, ())))


def _missing(key: ApiKey, scope: Scope, model: str) -> Refused:
    of = f" or `{scope}:{model}`" if model and scope in OF_MODELS else ""
    return Refused(
        403,
        "scope_missing",
        f"the API key `{key.name}` has no scope `{scope}`{of}",
        fix=f"it has: {', '.join(key.scopes)}",
    )


def _scopes(key: ApiKey) -> tuple[str, ...]:
    return SCOPES if "admin" in key.scopes else tuple(key.scopes)


def may(scope: Scope, *, of_model: bool = False) -> Any:
    """What a route, or a file of routes, depends on: a caller that may do what `scope` covers.
    of_model: of the model {name} in its path."""

    def check(
        request: Request,
        shown: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
    ) -> Caller:
        access: Access = request.app.state.access
        if shown is None and request.headers.get("authorization"):
            what = "only `Authorization: Bearer KEY` is understood"
            raise Refused(401, "key_unknown", what, www_authenticate="Bearer")
        model = str(request.path_params["name"]) if of_model else ""
        return access.caller(shown.credentials if shown else None, scope, model)

    return Depends(check)


Reader = Annotated[Caller, may("read")]
Runner = Annotated[Caller, may("run")]
Approver = Annotated[Caller, may("promote")]
Promoter = Annotated[Caller, may("promote", of_model=True)]
Pusher = Annotated[Caller, may("push", of_model=True)]
Deleter = Annotated[Caller, may("delete", of_model=True)]
Cleaner = Annotated[Caller, may("delete")]
Admin = Annotated[Caller, may("admin")]
