"""What a gateway process can be told beside the deployment's routing table."""

from dataclasses import dataclass, field
from pathlib import Path

from llmops.gateway.connection import Waits
from llmops.spec.deployment import is_loopback

BODY_LIMIT = 16 << 20
DRAIN_SECONDS = 8.0
"""Shorter than what the supervisor gives a process to end (runner/guard.py)."""


@dataclass(frozen=True)
class Options:
    """root: the project's; deployment: its name. body_limit: bytes of a request. drain: seconds
    that answers under way may take after SIGTERM. require_keys: also on loopback."""

    root: Path
    deployment: str
    host: str = "127.0.0.1"
    port: int = 0
    uds: Path | None = None
    require_keys: bool = False
    body_limit: int = BODY_LIMIT
    drain: float = DRAIN_SECONDS
    waits: Waits = field(default_factory=Waits)

    @property
    def keys_needed(self) -> bool:
        """Clients show an API key unless only this machine can reach the gateway."""
        return self.require_keys or (self.uds is None and not is_loopback(self.host))
