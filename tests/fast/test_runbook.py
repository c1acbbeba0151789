"""The runbook of docs/operating.md: its commands, run as they stand there."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import typer

from llmops.cli.app import application
from llmops.feedback.ingest import ingest
from llmops.spec.settings import load_settings
from llmops.store.database import open_database, reading
from llmops.store.paths import ProjectPaths
from llmops.store.tables import inferences
from tests.conftest import ROOT, run_llmops
from tests.fast.logged import answer, event, write
from tests.fast.town_project import make_town

RUNBOOK = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")


def commands(section: str) -> list[str]:
    """Those of a section, each in one line."""
    text = RUNBOOK.split(f"### {section}\n")[1].split("\n### ")[0]
    block = re.findall(r"```console\n(.*?)```", text, re.S)[0].replace("\\\n", "")
    return [line.removeprefix("$ ").partition(" # ")[0] for line in block.splitlines()]


def move_in(root: Path) -> int:
    """What the journal holds, into the database; how many answers that has then."""
    database = open_database(load_settings(root))
    try:
        ingest(ProjectPaths(root), database)
        with reading(database) as connection:
            return len(connection.scalars(sa.select(inferences.c.id)).all())
    finally:
        database.dispose()


def written() -> list[str]:
    """Every `llmops ...` of the page, in a sentence or a block."""
    said = re.findall(r"`(llmops [a-z][^`]+)`", RUNBOOK) + re.findall(
        r"^\$ (llmops .*)$", RUNBOOK, re.M
    )
    return sorted({re.split(" [#>] | > ", one)[0].strip() for one in said})


@pytest.mark.parametrize("text", written())
def test_what_the_page_says_to_type_is_taken(text: str) -> None:
    """With these options and arguments, which are read as they are before a command begins."""
    args = shlex.split(text)
    command: Any = typer.main.get_command(application())
    parent = None
    while args:
        parent = command.make_context(args[0], args[1:], parent=parent)
        args = [*getattr(parent, "_protected_args", ()), *parent.args]
        if args:
            _, command, _ = command.resolve_command(parent, args)


@pytest.mark.slow
def test_a_backup_that_is_made_while_all_runs_loses_nothing(project: Path) -> None:
    """What the ingester moves between the two halves is in one of them."""
    make_town(project)
    paths, backup = ProjectPaths(project), project.parent / "backup"
    backup.mkdir()
    for folder in ("recipes", "pipelines", "suites"):
        (project / folder).mkdir()
    write(paths, [answer(1), event(1)])
    move_in(project)
    write(paths, [answer(2), event(2)], "town-2")
    for command in commands("Restore from a backup"):
        shell = command.replace("/backup/", f"{backup}/")
        subprocess.run(shell, shell=True, cwd=project, check=True)
        move_in(project)
    shutil.rmtree(project)
    project.mkdir()
    subprocess.run(["tar", "-xzf", backup / "project.tgz"], cwd=project, check=True)
    shutil.copy(backup / "llmops.db", paths.state)
    assert move_in(project) == 2
    assert run_llmops("models", "verify", cwd=project).returncode == 0
