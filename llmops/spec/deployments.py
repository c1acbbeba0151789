"""The deployments that a project declares: every file in serving/ that has variants.

Reads only. One that was started from a file elsewhere is found by `llmops.serving.declared`.
"""

from dataclasses import dataclass
from pathlib import Path

from llmops.errors import BadInput
from llmops.spec.deployment import Deployment
from llmops.spec.load import Loaded, load_deployment
from llmops.spec.source import display, read_source

FOLDER = "serving"


@dataclass(frozen=True)
class Declared:
    """loaded: by file, in the order of their names; problems: of the files that do not load."""

    loaded: tuple[Loaded[Deployment], ...]
    problems: tuple[BadInput, ...]

    def find(self, name: str) -> Loaded[Deployment] | None:
        """The one of that name. Raises BadInput when several files declare it."""
        found = [one for one in self.loaded if one.spec.name == name]
        if len(found) > 1:
            raise BadInput(
                f"the deployment `{name}` is declared by {display(found[1].path)} too",
                where=found[0].source.where(("name",)),
                fix="give one of them another name",
            )
        return found[0] if found else None


def declared(root: Path) -> Declared:
    """root: the project's directory."""
    loaded, problems = [], []
    for file in sorted((root / FOLDER).glob("*.y*ml")):
        try:
            loaded.append(load_deployment(file))
        except BadInput as error:
            if not _is_something_else(file):
                problems.append(error)
    return Declared(tuple(loaded), tuple(problems))


def _is_something_else(file: Path) -> bool:
    """Whether it is sound YAML that is not meant as a deployment."""
    try:
        return "variants" not in read_source(file).data
    except BadInput:
        return False
