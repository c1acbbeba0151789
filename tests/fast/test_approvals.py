"""What waits for a person, and what comes of the answer."""

from pathlib import Path

import pytest

from llmops.control.project import Project
from llmops.control.run_detail import detail
from llmops.errors import BadInput, GateRefused
from llmops.registry.store import Registry
from llmops.runner.record import RunRecord, find_run
from llmops.scheduling import jobs
from llmops.scheduling.approvals import approvals, approve
from llmops.spec.settings import load_settings
from llmops.store.paths import ProjectPaths
from tests.conftest import Llmops
from tests.fast.job_queue import MOVE, Queue
from tests.fast.town_project import make_town

AGREED = MOVE.replace("to: candidate", "to: candidate, approval: true")


@pytest.fixture
def queue(queue: Queue) -> Queue:
    queue.write(AGREED)
    return queue


@pytest.fixture
def town(project: Path) -> Registry:
    (project / "p.yaml").write_text(AGREED, encoding="utf-8")
    return make_town(project)


def last(project: Path) -> RunRecord:
    return find_run(ProjectPaths(project), "last")


def test_a_stage_waits_for_a_person(project: Path, town: Registry, llmops: Llmops) -> None:
    done = llmops("run", "p.yaml")
    run = last(project).id
    assert (done.returncode, done.stdout) == (0, "offer\twaiting\t\n")
    assert "waits: a person must agree: town@candidate -> town:v3" in done.stderr
    assert town.aliases("town")["candidate"] == 2
    assert f"llmops run --resume {run}" in done.stderr


def test_a_run_says_which_of_its_stages_asks(project: Path, town: Registry, llmops: Llmops) -> None:
    llmops("run", "p.yaml")
    run = last(project).id

    def asks() -> list[bool]:
        return [one["approval"] for one in detail(run, Project(load_settings(project)))["stages"]]

    assert asks() == [True]
    llmops("approve", run)
    assert asks() == [False]


def test_the_plan_says_that_a_person_must_agree(town: Registry, llmops: Llmops) -> None:
    assert "town@candidate -> town:v3, when a person agrees" in llmops("plan", "p.yaml").stdout


def test_an_agreement_lets_the_alias_move(project: Path, town: Registry, llmops: Llmops) -> None:
    llmops("run", "p.yaml")
    run = last(project).id
    assert f"{run}" in llmops("approve", "--json").stdout
    done = llmops("approve", run, "--note", "read it")
    assert done.stdout == "approve: town@candidate -> town:v3\n"
    assert llmops("approve", "--json").stdout == "[]\n"
    assert llmops("run", "--resume", run).stdout == "offer\tdone\ttown:v3\n"
    move = town.history("town")[-1]
    assert move.why.startswith("stage offer of p.yaml; approved by cli:")
    assert move.why.endswith(": read it")


def test_a_rejection_refuses(project: Path, town: Registry, llmops: Llmops) -> None:
    llmops("run", "p.yaml")
    llmops("approve", last(project).id, "offer", "--reject", "--note", "not now")
    done = llmops("run", "--resume", "last")
    assert done.returncode == GateRefused.exit_code
    assert "town@candidate -> town:v3: rejected by cli:" in done.stderr
    assert (town.aliases("town")["candidate"], last(project).state) == (2, "refused")


def test_another_run_asks_anew(project: Path, town: Registry, llmops: Llmops) -> None:
    llmops("run", "p.yaml")
    llmops("approve", last(project).id)
    assert llmops("run", "p.yaml").stdout == "offer\twaiting\t\n"


def test_what_nobody_asked_is_bad_input(project: Path, town: Registry, llmops: Llmops) -> None:
    assert "no run `x`" in llmops("approve", "x").stderr
    llmops("run", "p.yaml")
    run = last(project).id
    assert "`ofer` does not wait" in llmops("approve", run, "ofer").stderr
    llmops("approve", run)
    done = llmops("approve", run, "offer", "--reject")
    assert (done.returncode, "was approved by cli:" in done.stderr) == (2, True)
    assert "waits for nobody" in llmops("approve", run).stderr


@pytest.mark.slow
def test_a_run_that_waits_for_a_person_goes_on_at_once(queue: Queue) -> None:
    job = queue.ask()
    queue.until(job.id, "waiting")
    (waits,) = approvals(queue.runs)
    assert (waits.run, waits.stage, waits.by) == (job.id, "offer", "cli:test")
    approve(queue.runs, job.id, by="api:boss")
    assert queue.ended(job.id).state == "done"
    assert "approved by api:boss" in queue.registry.history("town")[-1].why


def test_a_run_may_wait_for_a_person_before_it_starts(queue: Queue) -> None:
    job = queue.ask(approval=True, by="schedule:p/cron")
    queue.tick()
    assert queue.job(job.id).state == "approval"
    (waits,) = approvals(queue.runs)
    assert (waits.run, waits.stage, waits.what) == (job.id, None, "run p.yaml")
    approve(queue.runs, job.id, by="api:boss")
    assert (queue.job(job.id).state, approvals(queue.runs)) == ("queued", [])


def test_a_rejected_run_never_starts(queue: Queue) -> None:
    job = queue.ask(approval=True)
    approve(queue.runs, job.id, by="api:boss", decision="reject", note="costs")
    queue.tick()
    found = queue.job(job.id)
    assert (found.state, found.tries) == ("cancelled", 0)
    assert found.error == "rejected by api:boss: costs"
    with pytest.raises(BadInput):
        approve(queue.runs, job.id, by="api:boss")
    assert found.state in jobs.ENDED
