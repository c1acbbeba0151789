"""Who uses the UI: nobody in particular on loopback, else whoever holds an API key.

The name to log in with is the key's name, the password the key; control says whether they belong
together (GET /whoami), and every later request carries the key, so its scopes hold here too. Keys
stay in the memory of this process.
"""

import hmac

from llmops.ui.client import Client, Problem


class Keys:
    """The keys of those who logged in, by name. required: whether anyone has to."""

    def __init__(self, client: Client, *, required: bool) -> None:
        self.client = client
        self.required = required
        self._keys: dict[str, str] = {}

    def of(self, name: str | None) -> str | None:
        """The key of someone who is logged in."""
        return self._keys.get(name) if name else None

    async def check(self, name: str, key: str) -> bool:
        """Whether that key has that name; then it is remembered."""
        if not name or not key:
            return False
        try:
            found = await self.client.api(key).get("/whoami")
        except Problem:
            return False
        if not hmac.compare_digest(str(found.get("name", "")).encode(), name.encode()):
            return False
        self._keys[name] = key
        return True
