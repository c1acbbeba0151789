"""What `llmops up` keeps, in a browser: TensorBoard's page behind a run's, and a project whose
database is PostgreSQL. Only what serves models is left out."""

import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from tensorboard.compat.proto.event_pb2 import Event  # type: ignore[import-untyped]
from tensorboard.compat.proto.summary_pb2 import Summary  # type: ignore[import-untyped]
from tensorboard.summary.writer.event_file_writer import (  # type: ignore[import-untyped]
    EventFileWriter,
)

from llmops.runner.record import list_runs
from llmops.store.paths import ProjectPaths
from llmops.up.record import read_up
from tests.browser.pages import confirm, open_tab
from tests.browser.project import make_project
from tests.fast.conftest import postgres  # noqa: F401
from tests.postgres import Postgres
from tests.waiting import until

pytestmark = pytest.mark.slow
PARTS = ("control", "ui", "tensorboard")


@dataclass
class Kept:
    """ui: its URL; run: one that trained, with the figures that its engine wrote."""

    ui: str
    run: str


@pytest.fixture(scope="module")
def kept(
    postgres: Postgres,  # noqa: F811
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Kept]:
    root = tmp_path_factory.mktemp("kept") / "town"
    paths = ProjectPaths(root)
    with pytest.MonkeyPatch.context() as env, ThreadPoolExecutor(1) as elsewhere:
        env.setenv("LLMOPS_DATABASE", postgres.new_database())
        elsewhere.submit(make_project, root, hostile=False).result()  # see street.py
        run = next(one.id for one in list_runs(paths) if one.target == "recipes/dpo.yaml")
        _figures(paths.run(run).attempt("dpo", 1).tensorboard)
        argv = [sys.executable, "-m", "llmops", "up", "--without", "serve"]
        argv += [f"--{part}-port=0" for part in PARTS]
        with (root.parent / "up.log").open("wb") as log:
            process = subprocess.Popen(argv, cwd=root, stdout=log, stderr=subprocess.STDOUT)
        try:
            urls = until(lambda: _urls(paths), 90, process) or {}
            yield Kept(urls["ui"], run)
        finally:
            process.terminate()
            process.wait(60)


def _figures(folder: Path) -> None:
    writer = EventFileWriter(str(folder))
    for step in range(1, 20):
        value = Summary.Value(tag="train/loss", simple_value=1 / step)
        writer.add_event(Event(step=step, wall_time=time.time(), summary=Summary(value=[value])))
    writer.close()


def _urls(paths: ProjectPaths) -> dict[str, str] | None:
    """Once all of them are ready."""
    there = read_up(paths)
    found = {one.name: str(one.url) for one in there.parts if one.state == "ready"} if there else {}
    return found if set(found) >= set(PARTS) else None


def test_a_run_leads_to_its_curves_in_tensorboard(kept: Kept, page: Page) -> None:
    panel = open_tab(page, kept.ui, "runs", run=kept.run)
    with page.expect_popup() as opened:
        panel.get_by_role("link", name="TensorBoard").click()
    expect(opened.value.get_by_text("train/loss").first).to_be_visible()


def test_a_project_on_postgresql_is_read_page_by_page(kept: Kept, page: Page) -> None:
    panel = open_tab(page, kept.ui, "feedback", kind="thumbs")
    rows = panel.locator("#feedback-table tbody tr")
    expect(rows).to_have_count(25)
    first = rows.first.get_by_role("link").first.get_attribute("href")
    panel.get_by_role("link", name="Next page").click()
    expect(panel.get_by_role("link", name="First page")).to_be_visible()
    assert rows.first.get_by_role("link").first.get_attribute("href") != first


def test_a_project_on_postgresql_is_scheduled(kept: Kept, page: Page) -> None:
    panel = open_tab(page, kept.ui, "schedules", schedule="town/weekly")
    panel.get_by_role("button", name="Pause").click()
    confirm(page, "Pause", why="the database moves")
    expect(panel).to_contain_text("the database moves")
    panel.get_by_role("button", name="Resume").click()
    expect(panel).not_to_contain_text("the database moves")
