"""An environment of the user's own, named by `[engines.X] python` in llmops.toml.

Its interpreter is asked once, without importing the engine; the answer is remembered by path and
by the times of the interpreter and of its site-packages, so that planning stays quick.
"""

import contextlib
import json
import os
import subprocess
from pathlib import Path

from llmops.engines.contract import Environment
from llmops.environments.lock import DISTRIBUTIONS
from llmops.errors import BadInput, Failed
from llmops.spec.settings import Settings
from llmops.store.cache_paths import CachePaths
from llmops.store.memory import Memory

ASK = """
import importlib.metadata, json, sys, sysconfig
answer = {"site": sysconfig.get_path("purelib"), "version": None}
for name in sys.argv[1:]:
    try:
        found = importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        continue
    answer = {"site": str(found.locate_file("")), "version": found.version}
    break
print(json.dumps(answer))
"""
ASK_SECONDS = 30


def own_environment(engine: str, settings: Settings, cache: CachePaths) -> Environment:
    """The environment that the settings name for `engine`, checked. Raises BadInput."""
    given = settings.engine(engine).python
    assert given is not None
    # Never resolved: a virtual environment is told by the path of its python, which is a link.
    python = Path(os.path.abspath(settings.root / given.expanduser()))
    where = f"engines.{engine}.python"
    if not python.is_file() or not os.access(python, os.X_OK):
        state = "is not executable" if python.is_file() else "does not exist"
        raise BadInput(
            f"the interpreter {python} {state}",
            where=where,
            fix="name the bin/python of an environment, or remove the key from llmops.toml "
            f"(or LLMOPS_ENGINES_{engine.upper()}_PYTHON) and run `llmops engines install`",
        )
    answer = _remembered(engine, python, cache) or _ask(engine, python, where, cache)
    return Environment(engine, answer["version"], python, Path(answer["site"]), own=True)


def _ask(engine: str, python: Path, where: str, cache: CachePaths) -> dict[str, str]:
    try:
        # -I: neither the working directory nor PYTHONPATH may answer for the environment.
        done = subprocess.run(
            [str(python), "-I", "-c", ASK, *DISTRIBUTIONS[engine]],
            capture_output=True,
            text=True,
            timeout=ASK_SECONDS,
            stdin=subprocess.DEVNULL,
        )
        answer = json.loads(done.stdout)
        found = isinstance(answer, dict) and {"site", "version"} <= answer.keys()
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise BadInput(
            f"{python} does not answer as a Python interpreter: {error}",
            where=where,
            fix="name the bin/python of an environment of Python 3.8 or later",
        ) from error
    if not found or answer["version"] is None:
        raise BadInput(
            f"no {' or '.join(DISTRIBUTIONS[engine])} is installed in the environment of {python}",
            where=where,
            fix=f"install it there, or remove the key and run `llmops engines install {engine}`",
        )
    kept = {"site": str(answer["site"]), "version": str(answer["version"])}
    _remember(engine, python, kept, cache)
    return kept


def _remembered(engine: str, python: Path, cache: CachePaths) -> dict[str, str] | None:
    entry = Memory(cache.pythons).get(f"{engine} {python}")
    if not isinstance(entry, dict) or not {"site", "version", "times"} <= entry.keys():
        return None
    known = {"site": str(entry["site"]), "version": str(entry["version"])}
    return known if entry["times"] == _times(python, Path(known["site"])) else None


def _remember(engine: str, python: Path, answer: dict[str, str], cache: CachePaths) -> None:
    """Losing this only costs time, so a cache that cannot be written is no error."""
    memory = Memory(cache.pythons)
    memory.put(f"{engine} {python}", answer | {"times": _times(python, Path(answer["site"]))})
    with contextlib.suppress(OSError, Failed):
        memory.save()


def _times(python: Path, site: Path) -> list[int]:
    """What changes when the environment is rebuilt, or when pip installs or removes something."""
    paths = (python, python.parent.parent / "pyvenv.cfg", site)
    return [path.stat().st_mtime_ns if path.exists() else 0 for path in paths]
