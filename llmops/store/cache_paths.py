"""The paths in the user's cache, which all projects share."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class CachePaths:
    """The user's cache, shared between projects: engine environments."""

    root: Path

    @property
    def environments(self) -> Path:
        return self.root / "environments"

    def environment(self, key: str) -> Path:
        """The finished environment of one lock; `key` names engine, version and lock hash."""
        return self.environments / key

    def building(self, key: str) -> Path:
        """Where that environment is built before it is moved in."""
        return self.environments / f".building-{key}"

    def lock(self, key: str) -> Path:
        return self.environments / f".{key}.lock"

    def log(self, key: str) -> Path:
        """What pip said while that environment was built."""
        return self.environments / f".{key}.log"

    @property
    def pythons(self) -> Path:
        """What was found in environments of the user's own, by interpreter."""
        return self.root / "pythons.json"

    @property
    def options(self) -> Path:
        """Option sets read from engine sources, by engine version."""
        return self.root / "options"
