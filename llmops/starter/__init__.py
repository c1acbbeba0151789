"""The starter project that `llmops init` copies: the example recipes, pipelines,
deployments and suites.

They are the repository's own. A wheel carries them inside this package; an editable install has
them in the repository's root, beside the package. `find_starter` finds either.
"""

import shutil
from pathlib import Path

from llmops.errors import BadInput, Failed
from llmops.spec.settings import FILE
from llmops.spec.source import display
from llmops.store.atomic import full_disk

FOLDERS = ("recipes", "pipelines", "serving", "suites")

SETTINGS = """\
# Settings of this llmops project. This file also marks the project's root.
# The command line goes over the environment (LLMOPS_*), and that over this file.

# Where the engine environments are kept; shared between projects.
# The environment variable LLMOPS_CACHE says the same.
# cache = "~/.cache/llmops"

# The engines are installed for CUDA where there is an NVIDIA GPU. This decides otherwise.
# [engines]
# device = "cpu"

# An environment of your own instead of the one that `llmops engines install` builds.
# [engines.llamafactory]
# python = "/opt/llamafactory/bin/python"

# [engines.vllm]
# python = "/opt/vllm/bin/python"

# What must speak for a version before an alias may name it. Without experiments, this is enough:
# [aliases."*".production]
# needs = ["evaluation"]
"""

GITIGNORE = """\
# State of llmops: runs, models, caches.
.llmops/
.env
"""


def find_starter() -> Path:
    """The directory that holds the starter's folders.

    Raises Failed when the installation lacks them.
    """
    here = Path(__file__).resolve().parent
    for candidate in (here, here.parent.parent):
        if all((candidate / folder).is_dir() for folder in FOLDERS):
            return candidate
    raise Failed(
        "this installation lacks the starter project",
        where=str(here),
        fix="install llmops-flywheel again",
    )


def starter_files(starter: Path) -> list[Path]:
    """The files to copy, relative to `starter`: no links, caches or hidden files."""
    return sorted(
        path.relative_to(starter)
        for folder in FOLDERS
        for path in (starter / folder).rglob("*")
        if path.is_file()
        and not path.is_symlink()
        and not any(
            part.startswith(".") or part == "__pycache__"
            for part in path.relative_to(starter).parts
        )
    )


def copy_starter(target: Path) -> list[Path]:
    """Make a project in `target`, which is created if it is absent. Returns the files written,
    relative to it.

    Raises BadInput, listing them, when files would be overwritten: then none is written. Raises
    Failed when the disk is full: then what was written is removed.
    """
    starter = find_starter()
    files = starter_files(starter)
    texts = {Path(FILE): SETTINGS, Path(".gitignore"): GITIGNORE}
    _check_target(target, [*texts, *files])
    written: list[Path] = []
    try:
        with full_disk(target):
            for name in [*texts, *files]:
                (target / name).parent.mkdir(parents=True, exist_ok=True)
                written.append(name)
                if name in texts:
                    (target / name).write_text(texts[name], encoding="utf-8")
                else:
                    shutil.copyfile(starter / name, target / name)
    except BaseException:
        for name in written:
            (target / name).unlink(missing_ok=True)
        raise
    return written


def _check_target(target: Path, names: list[Path]) -> None:
    if target.exists() and not target.is_dir():
        raise BadInput("not a directory", where=display(target), fix="name a new directory")
    existing = [name for name in names if (target / name).exists() or (target / name).is_symlink()]
    if existing:
        listed = "\n    ".join(str(name) for name in existing)
        raise BadInput(
            f"{len(existing)} files would be overwritten:\n    {listed}",
            where=display(target),
            fix="name another directory, or move these files away; nothing was written",
        )
