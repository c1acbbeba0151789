"""The queue: runs that are asked for, started as processes of their own, and written back."""

import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from llmops.errors import BadInput
from llmops.runner.devices import needed
from llmops.runner.record import StageRecord
from llmops.runner.run_log import RunLog
from llmops.runner.scope import Scope
from llmops.scheduling import jobs
from llmops.scheduling.halt import set_halt
from llmops.scheduling.queue import Queue as Standings
from llmops.scheduling.runs import Request, Runs
from llmops.scheduling.signs import Sign
from llmops.spec.settings import Settings
from llmops.store.atomic import write_json
from llmops.store.database import reading, writing
from llmops.store.paths import ProjectPaths
from tests.conftest import Llmops
from tests.fast.job_queue import MOVE, Queue

ASKING = """\
import sys
from llmops.scheduling.runs import Request, opened
with opened() as runs:
    for _ in range(10):
        runs.submit(Request("p.yaml", by=f"cli:{sys.argv[1]}"))
"""


@pytest.fixture
def runs(settings: Settings, database: sa.Engine) -> Runs:
    """Of a project whose pipeline is only queued, on either database."""
    (settings.root / "p.yaml").write_text(MOVE, encoding="utf-8")
    return Runs(settings, database)


def queued(runs: Runs) -> list[jobs.Job]:
    with reading(runs.database) as connection:
        return jobs.in_order(connection, ("queued",))


def test_a_run_that_is_asked_for_is_carried_out(queue: Queue) -> None:
    job = queue.ask(correlation="request-1")
    assert queue.job(job.id).state == "queued"
    ended = queue.ended(job.id)
    assert (ended.state, ended.error, ended.tries) == ("done", None, 1)
    assert queue.moves() == 1
    record = queue.record(job.id)
    assert (record.by, record.correlation) == ("cli:test", "request-1")


def test_what_cannot_be_read_is_not_queued(
    runs: Runs, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "p.yaml"
    elsewhere.write_text(MOVE, encoding="utf-8")
    (runs.settings.root / "link.yaml").symlink_to(elsewhere)
    for target in ("none.yaml", str(elsewhere), "link.yaml"):
        with pytest.raises(BadInput):
            runs.submit(Request(target))
    assert queued(runs) == []
    assert not runs.paths.runs.exists()


def test_fifty_at_once_are_queued_each_once(runs: Runs) -> None:
    with ThreadPoolExecutor(10) as pool:
        asked = list(pool.map(lambda _: runs.submit(Request("p.yaml")).id, range(50)))
    assert len(set(asked)) == 50
    assert sorted(job.id for job in queued(runs)) == sorted(asked)
    standings = Standings(runs.paths).standings(runs.database)
    assert [one.place for one in standings] == list(range(1, 51))


@pytest.mark.slow
def test_processes_that_ask_at_once_get_runs_of_their_own(queue: Queue) -> None:
    argv = [sys.executable, "-c", ASKING]
    asking = [subprocess.Popen([*argv, str(n)], cwd=queue.root) for n in range(5)]
    assert [process.wait(60) for process in asking] == [0] * 5
    assert len({job.id for job in queued(queue.runs)}) == 50


def test_of_several_dispatchers_one_claims(runs: Runs) -> None:
    job = runs.submit(Request("p.yaml"))

    def claims(_: int) -> bool:
        with writing(runs.database) as connection:
            return jobs.change(connection, job, state="starting", tries=job.tries + 1)

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(claims, range(16))) == [False] * 15 + [True]


def test_an_id_that_a_terminal_took_is_not_given(runs: Runs) -> None:
    first = runs.submit(Request("p.yaml"))
    assert ProjectPaths(runs.settings.root).run(first.id).root.is_dir()
    assert runs.submit(Request("p.yaml")).id != first.id


def test_a_terminal_of_another_host_is_not_stopped_from_here(runs: Runs) -> None:
    paths = ProjectPaths(runs.settings.root)
    begun = RunLog.begin(paths, "p", "p.yaml", [], [])
    elsewhere = begun.record.model_copy(update={"host": "other"})
    write_json(begun.paths.record, elsewhere.model_dump())
    with pytest.raises(BadInput, match="at a terminal of the host other"):
        runs.stop(elsewhere.id, "cli:test")


def test_what_was_asked_first_comes_first(runs: Runs) -> None:
    asked = [runs.submit(Request("p.yaml"), now=1.8e9).id for _ in range(12)]
    assert [job.id for job in queued(runs)] == asked


def test_a_page_goes_on_where_the_last_one_ended(runs: Runs) -> None:
    asked = [runs.submit(Request("p.yaml"), now=1.8e9 + n).id for n in range(5)]
    with reading(runs.database) as connection:
        first = jobs.newest(connection, 2, state="queued")
        last = first[-1]
        rest = jobs.newest(connection, 9, before=(last.created, last.id))
    assert [job.id for job in first + rest] == asked[::-1]


def test_what_is_done_with_a_job_fails_with_it(runs: Runs) -> None:
    def fail(connection: sa.Connection, job: str) -> None:
        raise BadInput("no")

    with pytest.raises(BadInput, match="no"):
        runs.submit(Request("p.yaml"), then=fail)
    assert queued(runs) == []
    job = runs.submit(Request("p.yaml"))
    runs.stop(job.id, "cli:test")
    with pytest.raises(BadInput, match="no"):
        runs.resume(job.id, "cli:test", then=fail)
    assert queued(runs) == []


def test_moves_of_aliases_need_no_device(runs: Runs) -> None:
    job = runs.submit(Request("p.yaml"))
    assert job.devices == 0
    assert needed(None, 2) == 2


def test_it_passes_by_terminals_that_use_more_than_there_is(queue: Queue) -> None:
    for name in ("one", "two"):
        RunLog.begin(queue.runs.paths, name, name, [], [StageRecord(name="sft", kind="train")])
    job = queue.ask()
    queue.ended(job.id)
    assert queue.moves() == 1


def test_a_process_that_cannot_be_started_is_no_try(queue: Queue) -> None:
    job = queue.ask()
    log = queue.runs.paths.run_log(job.id)
    log.mkdir(parents=True)
    with pytest.raises(OSError, match="Is a directory"):
        queue.tick()
    assert (queue.job(job.id).state, queue.job(job.id).tries) == ("queued", 0)
    log.rmdir()
    assert queue.ended(job.id).state == "done"


def test_the_kill_switch_holds_the_queue(queue: Queue) -> None:
    job = queue.ask()
    with writing(queue.database) as connection:
        set_halt(connection, "cli:test", "", 0)
    queue.tick()
    assert queue.job(job.id).state == "queued"


def test_what_is_stopped_in_the_queue_never_starts(queue: Queue) -> None:
    job = queue.ask()
    assert queue.runs.stop(job.id, "cli:test") == "cancelled"
    queue.tick()
    found = queue.job(job.id)
    assert (found.state, found.tries, found.error) == ("cancelled", 0, "stopped by cli:test")
    with pytest.raises(BadInput, match="is cancelled"):
        queue.runs.stop(job.id, "cli:test")


def test_what_was_cancelled_can_be_asked_for_again(queue: Queue) -> None:
    job = queue.ask()
    queue.runs.stop(job.id, "cli:test")
    assert queue.runs.resume(job.id, "cli:test").state == "queued"
    assert queue.ended(job.id).state == "done"


def test_a_declaration_that_went_is_told_by_the_job(queue: Queue) -> None:
    job = queue.ask()
    (queue.root / "p.yaml").unlink()
    found = queue.ended(job.id)
    assert (found.state, found.tries) == ("failed", 1)
    assert "p.yaml" in str(found.error)
    assert "error: " in queue.runs.paths.run_log(job.id).read_text(encoding="utf-8")


def test_an_unknown_run_is_bad_input(queue: Queue) -> None:
    for ask in (queue.runs.stop, queue.runs.resume):
        with pytest.raises(BadInput, match="no run `x`"):
            ask("x", "cli:test")


def test_the_queue_from_a_terminal(queue: Queue, llmops: Llmops) -> None:
    Sign().give(queue.database, time.time())
    run = llmops("run", "p.yaml", "--queue").stdout.strip()
    (job,) = json.loads(llmops("runs", "queue", "--json").stdout)
    assert (job["id"], job["state"], job["queue_position"]) == (run, "queued", 1)
    assert job["by"].startswith("cli:")
    assert run in llmops("runs", "queue").stdout
    assert llmops("runs", "stop", run).stdout == f"{run}: cancelled\n"
    assert llmops("run", "--resume", run, "-d").stdout.strip() == run
    assert queue.job(run).state == "queued"


def test_events_at_a_terminal(queue: Queue, llmops: Llmops) -> None:
    llmops("run", "p.yaml")
    assert llmops("runs", "events").stdout == "offer: done\ndone\n"
    lines = llmops("runs", "events", "--json").stdout.splitlines()
    assert [json.loads(line)["event"] for line in lines] == ["stage", "end"]


def test_a_queued_run_is_about_the_stages_that_were_asked_for(queue: Queue) -> None:
    two = MOVE + '  more: {promote: "town:v3", to: staging, after: [offer]}\n'
    (queue.root / "p.yaml").write_text(two, encoding="utf-8")
    job = queue.ask(scope=Scope(begin="offer", until="offer"))
    assert queue.ended(job.id).state == "done"
    record = queue.record(job.id)
    assert (record.scope, [stage.name for stage in record.stages]) == (
        Scope(begin="offer", until="offer"),
        ["offer"],
    )


def test_a_stage_that_is_not_there_is_told_before_the_queue(runs: Runs) -> None:
    with pytest.raises(BadInput, match="--until: no stage `offr`"):
        runs.submit(Request("p.yaml", scope=Scope(until="offr")))
    assert queued(runs) == []
