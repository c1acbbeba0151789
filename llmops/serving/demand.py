"""What a deployment is to serve now: its variants' versions, and those that others ask for."""

from collections.abc import Callable, Iterable
from pathlib import Path

from llmops.errors import LlmopsError
from llmops.registry.store import Registry
from llmops.serving.resolve import Resolved, Resolver
from llmops.serving.served import Served
from llmops.serving.wanted import Wishes
from llmops.spec.deployment import Deployment
from llmops.spec.load import Loaded
from llmops.store.files import Mark, mark_of
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
        self._aliases = _AliasFiles(project, self._resolver.models())
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


class _AliasFiles:
    """The files that record the moves of the aliases that a deployment follows: whether one may
    have moved, by their state."""

    def __init__(self, paths: ProjectPaths, models: Iterable[str]) -> None:
        self._files = [paths.aliases(model) for model in sorted(models)]
        self._marks = self._read()

    def changed(self) -> bool:
        """Whether any was written since this was asked last."""
        before, self._marks = self._marks, self._read()
        return before != self._marks

    def _read(self) -> list[Mark | None]:
        return [mark_of(file) for file in self._files]
