"""What `llmops up` shows, and what it takes for a pipeline and a deployment."""

import io
import json
from pathlib import Path

import pytest

from llmops.control.project import Project
from llmops.control.run_detail import detail
from llmops.errors import BadInput
from llmops.runner.record import StageRecord
from llmops.runner.run_log import RunLog
from llmops.spec.settings import load_settings
from llmops.store import logs
from llmops.store.paths import ProjectPaths
from llmops.up.chosen import choose
from llmops.up.line import StatusLine
from llmops.up.part import Kept, Part
from llmops.up.record import UpFile
from llmops.up.runs import RunsShown

DEPLOYMENT = 'name: NAME\nvariants:\n  control: {model: "town@production"}\n'
PIPELINE = 'name: town\nstages:\n  offer: {promote: "town:v1", to: production}\n'


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    part = Part("serve", [], tmp_path / "log", lambda: "http://127.0.0.1:8000", lambda: None)
    return Kept(part, tmp_path, print, state="waiting", detail="town@production names nothing yet")


def declare(project: Path, folder: str, name: str, text: str) -> Path:
    (project / folder).mkdir(exist_ok=True)
    file = project / folder / name
    file.write_text(text, encoding="utf-8")
    return file


def test_without_a_terminal_only_changes_are_told(kept: Kept) -> None:
    stream = io.StringIO()
    line = StatusLine(stream)
    line.show([kept])
    line.say("serve is ready")
    line.end()
    assert stream.getvalue() == "serve is ready\n"


def test_on_a_terminal_a_line_tells_how_all_do(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    stream = Terminal()
    StatusLine(stream).show([kept], "run 1: sft")
    assert stream.getvalue().endswith(
        "serve waiting: town@production names nothing yet | run 1: sft"
    )


def test_what_is_said_stays_above_that_line(kept: Kept) -> None:
    stream = Terminal()
    line = StatusLine(stream)
    line.show([kept])
    line.say("control is ready")
    _, said, status = stream.getvalue().split("\r\x1b[2K", 2)[0:3]
    assert "serve waiting" in said
    assert status.startswith("control is ready\n")


def test_as_json_there_is_no_such_line(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(logs.FORMAT, "json")
    stream = Terminal()
    line = StatusLine(stream)
    line.show([kept])
    line.say("control is ready")
    assert json.loads(stream.getvalue())["message"] == "control is ready"


def test_the_run_under_way_is_shown(tmp_path: Path) -> None:
    paths = ProjectPaths(tmp_path)
    assert RunsShown(paths).shown() == ""
    log = RunLog.begin(paths, "town", "town.yaml", [], [StageRecord(name="sft", kind="train")])
    log.stage("sft", "running")
    assert RunsShown(paths).shown() == f"run {log.record.id}: sft"
    log.end("failed")
    assert RunsShown(paths).shown() == ""


def test_a_run_s_page_leads_to_the_tensorboard_that_is_kept(project: Path, kept: Kept) -> None:
    paths = ProjectPaths(project)
    run = RunLog.begin(paths, "town", "town.yaml", [], []).record.id
    board = Part("tensorboard", [], paths.part_log("x"), lambda: "http://127.0.0.1:6", lambda: None)
    file = UpFile(paths, "", "", "")

    def link() -> object:
        return detail(run, Project(load_settings(project)))["tensorboard"]

    file.write([Kept(board, project, print, state="ready", url="http://127.0.0.1:6")])
    assert link() == "http://127.0.0.1:6"
    file.remove()
    assert link() is None


def test_the_only_deployment_need_not_be_named(project: Path) -> None:
    declare(project, "serving", "town.yaml", DEPLOYMENT.replace("NAME", "town"))
    chosen = choose([], project)
    assert chosen.pipeline is None
    assert chosen.deployment is not None
    assert chosen.deployment.spec.name == "town"


def test_files_are_told_apart_by_what_they_say(project: Path) -> None:
    deployment = declare(project, "serving", "town.yaml", DEPLOYMENT.replace("NAME", "town"))
    declare(project, "serving", "other.yaml", DEPLOYMENT.replace("NAME", "other"))
    pipeline = declare(project, "pipelines", "town.yaml", PIPELINE)
    chosen = choose([deployment, pipeline], project)
    assert chosen.deployment is not None
    assert chosen.pipeline is not None
    assert (chosen.deployment.path, chosen.pipeline.path) == (deployment, pipeline)


def test_a_project_without_a_deployment_serves_none(project: Path) -> None:
    assert choose([], project).deployment is None


def test_a_deployment_that_does_not_load_is_told(project: Path) -> None:
    declare(project, "serving", "town.yaml", "name: town\nvariants: {}\n")
    with pytest.raises(BadInput, match="variants"):
        choose([], project)


def test_a_pipeline_of_another_project_is_refused(project: Path, tmp_path: Path) -> None:
    pipeline = declare(tmp_path, "elsewhere", "town.yaml", PIPELINE)
    with pytest.raises(BadInput, match="not in the project"):
        choose([pipeline], project)
