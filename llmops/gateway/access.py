"""Who may ask a gateway what: API keys with scopes, where keys are asked for at all.

`chat` covers answers and the list of models, `admin` the metrics and experiments besides. Feedback
needs no key: the signed inference id is the right to rate that answer.
"""

from collections.abc import Mapping

from llmops.errors import LlmopsError
from llmops.feedback.keys import KeyRing, Scope
from llmops.gateway.problems import Problems
from llmops.gateway.replies import Refused
from llmops.store.paths import ProjectPaths

_CHALLENGE = ((b"www-authenticate", b"Bearer"),)


class Access:
    """needed: whether clients must show a key."""

    def __init__(self, paths: ProjectPaths, needed: bool, problems: Problems) -> None:
        self.needed = needed
        self._ring = KeyRing(paths)
        self._problems = problems

    def check(self, headers: Mapping[bytes, bytes], scope: Scope) -> None:
        """Raises Refused (401, 403)."""
        if not self.needed:
            return
        kind, _, text = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
        if kind.lower() != "bearer" or not text.strip():
            what = "An API key is needed: `Authorization: Bearer KEY`"
            raise Refused(401, what, code="invalid_api_key", headers=_CHALLENGE)
        try:
            key = self._ring.find(text.strip())
        except (LlmopsError, OSError) as error:
            self._problems.tell("the file of API keys", str(error))
            raise Refused(503, "The API keys cannot be read", code="keys_unreadable") from None
        self._problems.over("the file of API keys")
        if key is None:
            what = "The API key is not known, or was revoked"
            raise Refused(401, what, code="invalid_api_key", headers=_CHALLENGE)
        if not key.allows(scope):
            what = f"The API key `{key.name}` has no scope `{scope}`"
            raise Refused(403, what, code="insufficient_scope")
