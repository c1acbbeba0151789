"""The training engines by name. A new one is one module and one line here."""

from collections.abc import Callable
from pathlib import Path

from llmops.engines.contract import Engine
from llmops.errors import BadInput
from llmops.spec.suggest import did_you_mean


def _llamafactory(cache: Path | None, gpus: int | None) -> Engine:
    from llmops.engines.llamafactory.engine import LlamaFactory
    from llmops.engines.llamafactory.machine import with_gpus

    return LlamaFactory(cache, None if gpus is None else with_gpus(gpus))


ENGINES: dict[str, Callable[[Path | None, int | None], Engine]] = {
    "llamafactory": _llamafactory,
}


def find_engine(
    name: str, *, cache: Path | None = None, gpus: int | None = None, where: str = ""
) -> Engine:
    """The engine `name`. cache: a directory to remember option sets in (CachePaths.options);
    gpus: of the machine that is planned for, this one when None; where: the place of the name,
    for the error. Raises BadInput for an unknown name."""
    if name not in ENGINES:
        raise BadInput(f"`{name}` is not an engine", where=where, fix=did_you_mean(name, ENGINES))
    return ENGINES[name](cache, gpus)
