"""What is installed in an environment, as its metadata says: nothing in it is started."""

from importlib.metadata import distributions

from llmops import __version__
from llmops.engines.contract import Environment
from llmops.environments.lock import DISTRIBUTIONS

LIBRARIES = ("torch", "transformers", "peft", "trl", "accelerate", "datasets", "tokenizers")
"""Besides the engine, what a model depends on that it makes."""


def packages(environment: Environment | None) -> dict[str, str]:
    """Versions by distribution: of llmops itself, and of the engine and the libraries that it
    trains with, as far as they are there."""
    found = {"llmops": __version__}
    if environment is None:
        return found
    wanted = {*DISTRIBUTIONS[environment.engine], *LIBRARIES}
    for one in distributions(path=[str(environment.site)]):
        name = (one.name or "").lower().replace("_", "-")
        if name in wanted:
            found[name] = one.version
    return dict(sorted(found.items()))
