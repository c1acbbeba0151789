"""What killed writes leave, and who collects it."""

import os
import subprocess
import sys
from pathlib import Path

from llmops.runner.cache import collect
from llmops.runner.stage import Context
from llmops.spec.settings import load_settings
from llmops.store.leftovers import AGE
from llmops.store.paths import ProjectPaths

KILLED = """\
import os, pathlib, sys
from llmops.store.atomic import new_directory, new_file
place = pathlib.Path(sys.argv[1])
with new_file(place / "run.json") as file, new_directory(place / "v1") as folder:
    file.write(b"half")
    file.flush()
    (folder / "model.safetensors").write_bytes(b"half")
    os.kill(os.getpid(), 9)
"""


def left(place: Path) -> list[Path]:
    subprocess.run([sys.executable, "-c", KILLED, str(place)])
    return sorted(place.glob(".*"))


def aged(*files: Path) -> None:
    for file in files:
        at = file.stat().st_mtime - 2 * AGE
        os.utime(file, (at, at))


def test_what_killed_writes_left_is_removed(project: Path) -> None:
    found = left(ProjectPaths(project).run("r").root)
    assert [path.name.rpartition(".")[0] for path in found] == [".run.json", ".v1"]
    aged(*found, found[1] / "model.safetensors")
    assert collect(Context(load_settings()), None, print) == 8
    assert not any(path.exists() for path in found)


def test_what_may_still_be_written_is_left_alone(project: Path) -> None:
    file, folder = left(ProjectPaths(project).run("r").root)
    aged(folder)  # the file in it is young
    assert collect(Context(load_settings()), None, print) == 0
    assert file.exists()
    assert folder.exists()


def test_an_engines_own_files_are_left_alone(project: Path) -> None:
    attempt = ProjectPaths(project).run("r").attempt("sft", 1)
    attempt.output.mkdir(parents=True)
    file = attempt.output / ".model.metadata"
    file.write_text("the engine's")
    aged(file)
    collect(Context(load_settings()), None, print)
    assert file.exists()
