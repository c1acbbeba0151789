"""What a deployment is to serve now: its variants' versions, and those that others ask for."""

from collections.abc import Callable
from pathlib import Path

from llmops.errors import LlmopsError
from llmops.registry.store import Registry
from llmops.serving.follow import AliasFiles
from llmops.serving.resolve import Resolved, Resolver
from llmops.serving.served import Served
from llmops.serving.wanted import Wishes
from llmops.spec.deployment import Deployment
from llmops.spec.load import Loaded
from llmops.store.paths import DeploymentPaths, ProjectPaths


class Demand:
    """resolved: of the variants; wished: of others, by the text that they asked with."""

    def __init__(
        self,
        loaded: Loaded[Deployment],
        root: Path,
        paths: DeploymentPaths,
        resolved: Resolved,
    ) -> None:
        """resolved: as it was planned."""
        project = ProjectPaths(root)
        self.resolved = resolved
        self.wished: dict[str, Served] = {}
        self._resolver = Resolver(loaded, Registry(project), root)
        self._aliases = AliasFiles(project, self._resolver.models())
        self._wishes = Wishes(paths)

    @property
    def versions(self) -> list[Served]:
        return [*self.resolved.variants.values(), *self.wished.values()]

    def variants_of(self, version: str) -> list[str]:
        return [name for name, one in self.resolved.variants.items() if one.name == version]

    def read(self, problem: Callable[[Served], LlmopsError | None]) -> None:
        """Look at the aliases and the wishes again. problem: why a version cannot be had; whoever
        asks for one is told."""
        if self._aliases.changed():
            self.resolved = self._resolver.resolve()
        texts = self._wishes.versions()
        self._wishes.sweep()
        for text in self.wished.keys() - set(texts):
            del self.wished[text]
        for text in texts:
            try:
                if text not in self.wished:
                    self.wished[text] = self._resolver.version(text)
                found = problem(self.wished[text])
            except LlmopsError as error:
                found = error
            if found is not None:
                self._wishes.refuse(text, found)
